"""Sheets of methods that mix, drop or leave tokens unread."""

import numpy as np
import pytest

from jmim.tools import draw_masks
from jmim.tools import draw_tokens


@pytest.mark.parametrize("name", draw_tokens.SHEETS)
def test_every_sheet_can_be_drawn(name):
  rows, side = draw_masks.ROWS, draw_masks.SIDE
  images = np.full((rows, side, side, 3), 7, np.uint8)
  columns = draw_tokens.SHEETS[name](images)
  for title, pictures in columns.items():
    assert pictures.shape == images.shape, title
    assert pictures.dtype == np.uint8, title
  grey = [(x == draw_masks.GREY).all(-1).mean() for x in columns.values()]
  assert 0 < max(grey) < 1


def test_of_a_group_each_patch_is_given_by_one_image():
  side = draw_masks.SIDE
  shades = 9 * np.arange(4, dtype=np.uint8)[:, None, None, None]
  images = np.broadcast_to(shades, (4, side, side, 3))
  columns = draw_tokens.mixedae(images)
  mixed, decoder = columns["mixed (encoder)"][0], columns["decoder"]
  for i in range(4):
    given = (mixed == 9 * i).all(-1)
    np.testing.assert_array_equal(
      (decoder[i] == draw_masks.GREY).all(-1), ~given
    )


def test_of_a_second_stage_fewer_and_fewer_codes_are_unknown():
  """The later half of the rows where one follows another."""
  side = draw_masks.SIDE
  images = np.full((draw_masks.ROWS, side, side, 3), 40, np.uint8)
  _, training, second, sixth, ar = draw_tokens.digit(images).values()
  grey = lambda x: (x == draw_masks.GREY).all(-1)
  shares = grey(training).mean((1, 2))
  assert (shares > 0).all() and len(set(shares)) > 1
  assert 0 < grey(sixth).mean() < grey(second).mean() < 1
  half = np.arange(side) >= side // 2
  assert (grey(ar) == half[:, None]).all()


def test_codes_are_masked_more_and_more_and_some_replaced():
  side = draw_masks.SIDE
  images = np.full((draw_masks.ROWS, side, side, 3), 40, np.uint8)
  _, *times = draw_tokens.vq_diffusion(images).values()
  grey = [(x == draw_masks.GREY).all(-1).mean() for x in times]
  assert (np.diff(grey) > 0).all()
  np.testing.assert_allclose(grey[-1], 0.9, atol=0.05)
  red = [(x == [140, 20, 20]).all(-1).mean() for x in times]
  np.testing.assert_allclose(red[-1], 0.1, atol=0.05)
