"""A part of a resized image, against a crop of the whole."""

import numpy as np
import pytest

from jmim.data import decode
from jmim.data import window


@pytest.mark.parametrize("shape", [(40, 60), (61, 33), (7, 900), (999, 5)])
@pytest.mark.parametrize("short", [24, 40])
@pytest.mark.parametrize("channels", [1, 3])
def test_it_is_the_crop_of_the_whole(shape, short, channels):
  rng = np.random.default_rng(0)
  image = rng.integers(0, 256, (*shape, channels), np.uint8)
  whole = [short * side // min(shape) for side in shape]
  full = decode.resize(image, *whole).astype(int)
  for high, wide in ((24, 24), (24, 13), (9, 24)):
    for top, left in ((0, 0), (whole[0] - high, whole[1] - wide)):
      found = window.resized(image, whole, top, left, sides=(high, wide))
      want = full[top : top + high, left : left + wide]
      assert found.shape == want.shape and np.abs(found - want).max() <= 1
