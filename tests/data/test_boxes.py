import numpy as np
import pytest

from jmim.data import boxes


def test_pixels_are_shares_of_their_picture():
  found = boxes.shares((10, 30, 20, 60), (40, 120))
  np.testing.assert_allclose(found, [0.25, 0.25, 0.5, 0.5])


def test_a_box_of_a_box_refers_to_the_whole():
  """In pixels: rows 10 to 30, and of those the lower half."""
  outer = boxes.shares((10, 0, 20, 120), (40, 120))
  lower = boxes.shares((10, 0, 10, 120), (20, 120))
  found = boxes.within(lower, outer)
  assert found.dtype == np.float32
  np.testing.assert_allclose(
    found, boxes.shares((20, 0, 10, 120), (40, 120)), rtol=1e-6
  )


@pytest.mark.parametrize(
  ("box", "other", "expected"),
  [
    ((4, 8, 10, 20), (20, 40), (4, 8, 10, 20)),  # the same picture
    ((4, 8, 10, 20), (40, 40), (8, 8, 20, 20)),
    ((4, 8, 10, 20), (10, 20), (2, 4, 5, 10)),
    ((19, 39, 1, 1), (2, 4), (1, 3, 1, 1)),  # not less than a pixel, inside
  ],
)
def test_a_place_is_the_same_in_another_size(box, other, expected):
  assert boxes.scaled(box, (20, 40), other) == expected
