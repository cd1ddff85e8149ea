import cv2
import jax
import numpy as np
import pytest
from scipy import ndimage

from jmim.nn import components

EIGHT = np.ones((3, 3))
FILLED, LABELS = jax.jit(components.filled), jax.jit(components.labels)
LARGE = jax.jit(components.large, static_argnums=1)


def blots(share, side=(24, 31), n=6):
  """Noise of parts, holes, and parts in holes."""
  rng = np.random.default_rng(int(100 * share))
  return rng.random((n, *side)) < share


def spiral(side=21):
  """One part that winds through the picture, a pixel wide."""
  mask, (y, x), (dy, dx) = np.zeros((side, side), bool), (0, 0), (0, 1)
  free = lambda a, b: 0 <= a < side and 0 <= b < side and not mask[a, b]
  for _ in range(side * side):
    mask[y, x] = True
    ahead = free(y + dy, x + dx)
    wall = not free(y + 2 * dy, x + 2 * dx) and (
      0 <= y + 2 * dy < side and 0 <= x + 2 * dx < side
    )
    if not ahead or wall:
      dy, dx = dx, -dy
      if not free(y + dy, x + dx) or not free(y + 2 * dy, x + 2 * dx):
        break
    y, x = y + dy, x + dx
  return mask


def theirs(mask, least):
  """The authors' `get_findContours`."""
  found = np.zeros(mask.shape, np.uint8)
  outlines, _ = cv2.findContours(
    mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE
  )
  for outline in outlines:
    _, _, w, h = cv2.boundingRect(outline)
    if w * h >= least:
      cv2.fillPoly(found, [outline], 1)
  return found > 0


@pytest.mark.parametrize("share", [0.35, 0.45, 0.6])
def test_parts_are_those_of_scipy(share):
  masks = blots(share)
  for mask, found in zip(masks, np.asarray(LABELS(masks)), strict=True):
    numbers, count = ndimage.label(mask, EIGHT)
    first = [np.flatnonzero(numbers == i + 1)[0] for i in range(count)]
    table = np.array([np.iinfo(np.int32).max, *first])
    np.testing.assert_array_equal(found, table[numbers])


@pytest.mark.parametrize("share", [0.35, 0.6, 0.75])
def test_holes_are_those_of_scipy(share):
  masks = blots(share)
  wanted = [ndimage.binary_fill_holes(mask) for mask in masks]
  np.testing.assert_array_equal(FILLED(masks), wanted)


def test_what_winds_is_one_part():
  masks = blots(0.5, (21, 21))
  masks[0] = spiral()
  assert masks[0].sum() > 150
  assert len(np.unique(np.asarray(LABELS(masks))[0])) == 2


@pytest.mark.parametrize("least", [9, 40])
def test_small_parts_go_as_the_outlines_of_opencv(least):
  masks = blots(0.45)
  wanted = [theirs(mask, least) for mask in masks]
  assert 0 < np.mean(wanted) < 1
  np.testing.assert_array_equal(LARGE(masks, least), wanted)
