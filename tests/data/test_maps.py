"""Maps cut on the host, against the images that are cut with them."""

import numpy as np
import pytest

from jmim.data import decode
from jmim.data import maps


def test_the_whole_map_comes_back():
  values = np.arange(30).reshape(5, 6)
  whole = maps.cut(values, (0.0, 0.0, 1.0, 1.0), 5)
  np.testing.assert_array_equal(whole[:, 0], values[:, 0])
  square = np.arange(49).reshape(7, 7)
  np.testing.assert_array_equal(maps.cut(square, (0, 0, 1, 1), 7), square)


def test_only_values_of_the_map_occur():
  """No mixtures of two ids, whatever the box and the size."""
  rng = np.random.default_rng(0)
  values = rng.choice([3, 7, 200], (40, 30))
  for _ in range(20):
    top, left = rng.uniform(0, 0.5, 2)
    height, width = rng.uniform(0.1, 0.5, 2)
    found = maps.cut(values, (top, left, height, width), 13)
    assert found.shape == (13, 13) and set(np.unique(found)) <= {3, 7, 200}


def test_values_are_those_below_the_centres():
  values = np.arange(16).reshape(4, 4)
  found = maps.cut(values, (0.5, 0.0, 0.5, 0.5), 2)
  np.testing.assert_array_equal(found, [[8, 9], [12, 13]])
  larger = maps.cut(values, (0.5, 0.0, 0.5, 0.5), 4)
  np.testing.assert_array_equal(larger, found.repeat(2, 0).repeat(2, 1))


@pytest.mark.parametrize("shape", [(100, 75), (75, 100), (61, 47), (40, 200)])
@pytest.mark.parametrize("resize_to", [16, 24])
def test_the_central_box_is_that_of_the_image(shape, resize_to):
  """An image of its own coordinates shows where the centre crop came from."""
  h, w = shape
  y, x = np.mgrid[:h, :w] + 0.5
  place = np.stack([255 * y / h, 255 * x / w, 0 * x], -1).astype("u1")
  image = decode.center(place, 16, resize_to)
  box = maps.central(h, w, 16, resize_to)
  found = maps.cut(np.stack([y / h, x / w], -1), box, 16)
  inner = slice(2, -2)
  apart = np.abs(image[inner, inner, :2] / 255 - found[inner, inner])
  assert apart.max() < 1.5 / min(h, w) + 2 / 255


@pytest.mark.parametrize("shape", [(100, 75), (75, 100), (40, 200)])
@pytest.mark.parametrize("sides", [(16, 24), (24, 16)])
def test_the_central_box_of_a_rectangle_is_that_of_the_image(shape, sides):
  h, w = shape
  y, x = np.mgrid[:h, :w] + 0.5
  place = np.stack([255 * y / h, 255 * x / w, 0 * x], -1).astype("u1")
  image = decode.center(place, sides, 32)
  box = maps.central(h, w, sides, 32)
  found = maps.cut(np.stack([y / h, x / w], -1), box, sides)
  inner = slice(2, -2)
  apart = np.abs(image[inner, inner, :2] / 255 - found[inner, inner])
  assert apart.max() < 1.5 / min(h, w) + 2 / 255
