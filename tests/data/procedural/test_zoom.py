"""Scenes at any size: exact reductions, soft edges, numbers that tell all."""

import dataclasses

import numpy as np
import pytest

from jmim.data.procedural import zoom


def scene(seed=0):
  return zoom.draw(np.random.default_rng(seed))


def reduced(image, factor):
  side = len(image) // factor
  return image.reshape(side, factor, side, factor, 3).mean((1, 3))


@pytest.mark.parametrize("small, large", [(16, 64), (32, 64), (24, 48)])
def test_a_smaller_picture_is_a_larger_one_reduced(small, large):
  one = scene()
  want = reduced(zoom.render(one, large), large // small)
  np.testing.assert_allclose(zoom.render(one, small), want, atol=1e-3)


@pytest.mark.parametrize("size", [23, 32, 64, 100])
def test_samples_are_dense_enough_at_any_size(size, monkeypatch):
  """Below a level of 255 from the mean over many more samples."""
  one = scene(1)
  image = zoom.render(one, size)
  monkeypatch.setattr(zoom, "FINEST", 1200)
  assert abs(image - zoom.render(one, size)).max() < 1


def test_edges_are_soft():
  """No step between neighbours at the finest size is that of an edge."""
  for seed in range(4):
    image = zoom.render(scene(seed), zoom.FINEST)
    steps = max(abs(np.diff(image, axis=axis)).max() for axis in (0, 1))
    # The steepest place of the ramp, for the largest contrast of colours.
    assert steps < 1.5 * 210 / (zoom.FINEST * zoom.EDGE) * 1.05


def test_numbers_tell_all_of_a_scene():
  counts = set()
  for seed in range(30):
    one = scene(seed)
    rows = zoom.pack(one)
    assert rows.dtype == np.float32 and zoom.unpack(rows) == one
    counts.add(len(one.forms))
  assert counts == {2, 3, 4, 5}


@pytest.mark.parametrize("kind", range(len(zoom.FORMS)))
def test_the_area_of_a_form_is_that_of_its_formula(kind):
  form = dataclasses.replace(scene().forms[0], kind=kind, radius=0.3)
  form = dataclasses.replace(form, centre=(0.5, 0.5), aspect=0.5)
  white, black = (255.0,) * 3, (0.0,) * 3
  one = zoom.Scene(
    start=black,
    end=black,
    angle=0.0,
    forms=(dataclasses.replace(form, colour=white),),
  )
  share = zoom.render(one, 96).mean() / 255
  a = 0.3 / np.hypot(1, 0.5)
  area = {
    "disc": np.pi * 0.3**2,
    "rectangle": 4 * a * 0.5 * a,
    "triangle": 3 * np.sqrt(3) / 4 * 0.3**2,
    "hexagon": 3 * np.sqrt(3) / 2 * 0.3**2,
  }[zoom.FORMS[kind]]
  assert share == pytest.approx(area, rel=0.02)


def test_the_ground_is_linear_from_edge_to_edge():
  one = zoom.Scene(
    start=(10.0, 20.0, 30.0), end=(110.0, 20.0, 0.0), angle=0.0, forms=()
  )
  image = zoom.render(one, 8)
  x = (np.arange(8) + 0.5) / 8
  want = np.stack([10 + 100 * x, 20 + 0 * x, 30 - 30 * x], -1)
  np.testing.assert_allclose(image, np.tile(want, (8, 1, 1)), atol=1e-4)
