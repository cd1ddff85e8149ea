import numpy as np
import pytest

from jmim.core import errors
from jmim.data import specs
from jmim.evals.lib import clouds


def where(picture):
  """(rows, columns) of what is drawn on white, without the right edge."""
  return np.nonzero((picture[:, :-1] != 255).any(-1))


def test_each_view_shows_its_plane():
  side = 60
  # A stick along x: long across in (x, y), a dot in (y, z), upright in (z, x).
  x = np.linspace(-1, 1, 50)
  stick = np.stack([x, 0 * x, 0 * x], -1)[None]
  picture = clouds.views(stick, side=side)[0]
  assert picture.shape == (side, 3 * side, 3)
  extents = []
  for view in np.split(picture, 3, axis=1):
    rows, columns = where(view)
    extents.append((np.ptp(rows) + 1, np.ptp(columns) + 1))
  assert extents == [(3, side - 1), (side - 1, 3), (3, 3)]


def test_up_is_up_and_right_is_right():
  # A far point of one colour, and one that is higher and more to the right.
  cloud = np.array([[[-1.0, -1, 0], [1, 1, 0]]])
  values = np.array([[0.0, 1.0]])
  first = clouds.views(cloud, values, side=40)[0][:, :40]
  yellow = (first[..., 0] > 200) & (first[..., 2] < 100)
  rows, columns = np.nonzero(yellow)
  assert rows.max() < 10 and columns.min() > 30


def test_the_near_hides_the_far():
  cloud = np.array([[[0.0, 0, 1], [0, 0, -1], [0.3, 0, -1]]])
  values = np.array([[1.0, 0.0, 0.0]])
  near_first = clouds.views(cloud, values)
  other = clouds.views(cloud[:, ::-1], values[:, ::-1])
  np.testing.assert_array_equal(near_first, other)
  first = near_first[0][:, :96]
  rows, columns = where(first)
  left = first[rows.min(), columns.min()]
  assert left[0] > 200 and left[2] < 100  # of the near one


def test_scale_and_place_do_not_show():
  cloud = np.random.default_rng(0).normal(size=(2, 30, 3))
  np.testing.assert_array_equal(
    clouds.views(cloud), clouds.views(4 * cloud + 64)
  )


def test_what_cannot_be_drawn_is_refused():
  with pytest.raises(ValueError, match=r"\[n, p, 3\]"):
    clouds.views(np.zeros((4, 3)))
  with pytest.raises(ValueError, match="NaN"):
    clouds.views(np.full((1, 4, 3), np.nan))


def test_stored_units_and_finite_clouds_only():
  spec = specs.Spec(points_mean=(1.0, 0.0, 0.0), points_std=(2.0, 2.0, 2.0))
  points = np.ones((3, 4, 3), np.float32)
  np.testing.assert_array_equal(
    clouds.stored(spec, points)[0, 0], [3.0, 2.0, 2.0]
  )
  points[1] = np.inf
  with pytest.raises(errors.UserError, match="1 of 3 clouds"):
    clouds.stored(spec, points)
