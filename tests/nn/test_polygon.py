import jax
import numpy as np
import pytest

from jmim.nn import polygon


def reference(corners, side):
  """The same by Pillow-free arithmetic, pixel by pixel."""
  found = np.zeros((side, side), bool)
  for row in range(side):
    for column in range(side):
      odd = False
      for (ax, ay), (bx, by) in zip(
        corners, np.roll(corners, -1, axis=0), strict=True
      ):
        if (ay > row) != (by > row):
          odd ^= column < ax + (row - ay) / (by - ay) * (bx - ax)
      found[row, column] = odd
  return found


@pytest.mark.parametrize("n", [3, 5])
def test_pixels_inside(n):
  corners = np.random.default_rng(n).uniform(-2, 12, (4, n, 2))
  found = jax.jit(polygon.inside, static_argnums=1)(np.float32(corners), 10)
  for mask, own in zip(found, np.float32(corners), strict=True):
    np.testing.assert_array_equal(mask, reference(own, 10))


def test_a_square_between_pixels():
  corners = np.float32([[[1.5, 2.5], [4.5, 2.5], [4.5, 6.5], [1.5, 6.5]]])
  want = np.zeros((9, 9), bool)
  want[3:7, 2:5] = True
  np.testing.assert_array_equal(polygon.inside(corners, 9)[0], want)
  # The other way round, and moved out of the picture.
  np.testing.assert_array_equal(polygon.inside(corners[:, ::-1], 9)[0], want)
  assert not polygon.inside(corners + 20, 9).any()
