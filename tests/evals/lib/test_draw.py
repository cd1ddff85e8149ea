import numpy as np
import pytest

from jmim.evals.lib import draw


def test_sheet_shows_each_image_where_its_title_says():
  n, side, scale = 4, 3, 2
  columns = {
    name: np.full((n, side, side, 3), value, np.uint8)
    for name, value in (("original", 10), ("masked", 120))
  }
  columns["original"][3] = (201, 17, 33)
  picture = draw.sheet(columns, pairs=2, scale=scale)
  cell = side * scale
  tiles = (picture == (201, 17, 33)).all(-1)
  assert tiles.sum() == cell**2  # the fourth example, once, in one column
  assert (picture == 120).all(-1).sum() == n * cell**2


def test_grey_images_are_drawn_too():
  columns = {"original": np.full((2, 3, 3, 1), 77, np.uint8)}
  assert (draw.sheet(columns, scale=1) == 77).all(-1).sum() == 2 * 9


def test_heat_goes_from_dark_to_bright_and_is_clipped():
  ramp = draw.heat(np.array([-5.0, 0.0, 0.5, 1.0, 9.0]), 0.0, 1.0)
  brightness = ramp.sum(-1).astype(int)
  assert (ramp[0] == ramp[1]).all() and (ramp[3] == ramp[4]).all()
  assert brightness[1] < brightness[2] < brightness[3]
  assert draw.heat(np.ones((2, 2)), 1.0, 1.0).shape == (2, 2, 3)  # no range


def test_classes_have_colours_of_their_own():
  colours = draw.palette(21)
  assert colours.dtype == np.uint8 and len({tuple(c) for c in colours}) == 21
  assert (draw.classes(np.zeros((1, 2, 2), int)) == colours[0]).all()
  assert colours[0].sum() < colours[1:].sum(1).min()


@pytest.mark.parametrize(
  ("depth", "shown"), [(12, [1, 4, 7, 10]), (4, [0, 1, 2, 3]), (3, [0, 1, 2])]
)
def test_slices_of_a_volume_stand_side_by_side(depth, shown):
  x = np.arange(2 * depth * 12).reshape(2, depth, 3, 4)
  found = draw.slices(x)
  assert found.shape == (2, 3, 4 * len(shown), 1)
  for place, z in enumerate(shown):
    part = found[:, :, 4 * place : 4 * place + 4, 0]
    np.testing.assert_array_equal(part, x[:, z])


def test_directions_are_hues_and_lengths_strengths():
  flow = np.array([[2.0, 0.0], [1.0, 0.0], [0.0, 0.0], [-2.0, 0.0], [9.0, 0]])
  right, half, none, left, far = draw.directions(flow, 2.0).astype(int)
  np.testing.assert_array_equal(right, [255, 0, 0])
  np.testing.assert_array_equal(none, [255, 255, 255])
  np.testing.assert_array_equal(far, right)
  assert abs(half - (right + none) / 2).max() <= 1
  assert left[0] < 10 and left[1] > 240 and left[2] > 240


@pytest.mark.parametrize("side", [(6, 12), (4, 6), (5, 9), (2, 2)])
def test_fitted_pictures_repeat_or_leave_out_values(side):
  x = np.arange(12).reshape(1, 3, 4)
  found = draw.fitted(x, side)
  assert found.shape == (1, *side)
  for i in range(side[0]):
    for j in range(side[1]):
      assert found[0, i, j] == x[0, i * 3 // side[0], j * 4 // side[1]]
