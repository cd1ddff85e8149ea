import numpy as np
import pytest

from jmim.methods.mim import mae
from jmim.tools import draw_masks


def test_hidden_cells_are_grey():
  images = np.full((1, 4, 4, 3), 7, np.uint8)
  mask = np.array([[[True, False], [False, False]]])
  shown = draw_masks.hide(images, mask)
  assert (shown[0, :2, :2] == draw_masks.GREY).all()
  assert (shown == 7).all(-1).sum() == 12


def test_draws_are_the_methods_own_and_always_the_same():
  method = mae.MAE.tiny()
  draws = draw_masks.draws_of(method, 3)
  assert draws["noise"].shape == (3, 16)
  again = draw_masks.draws_of(method, 3)
  np.testing.assert_array_equal(draws["noise"], again["noise"])
  mask = draw_masks.mask_of(method)
  assert mask.shape == (draw_masks.ROWS, 4, 4)
  assert (mask.sum((1, 2)) == 12).all()


@pytest.mark.parametrize("ratio", [0.5, 0.75, 0.9])
def test_the_sheet_of_mae_hides_what_its_titles_say(ratio):
  side = draw_masks.SIDE
  images = np.full((draw_masks.ROWS, side, side, 3), 7, np.uint8)
  columns = draw_masks.mae(images)
  grey = (columns[f"{ratio:.0%} hidden"] == draw_masks.GREY).all(-1)
  assert abs(grey.mean() - ratio) < 1 / 196
  assert (columns["image"] == 7).all()


@pytest.mark.parametrize("name", draw_masks.SHEETS)
def test_every_sheet_can_be_drawn(name):
  rows, side = draw_masks.ROWS, draw_masks.SIDE
  images = np.full((rows, side, side, 3), 7, np.uint8)
  columns = draw_masks.SHEETS[name](images)
  for title, pictures in columns.items():
    assert pictures.shape == images.shape, title
    assert pictures.dtype == np.uint8, title
  # Something is hidden, and not everything.
  grey = [(x == draw_masks.GREY).all(-1).mean() for x in columns.values()]
  assert 0 < max(grey) < 1
