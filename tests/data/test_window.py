"""A square of a resized image, against a crop of the whole."""

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
  for top, left in ((0, 0), [side - 24 for side in whole]):
    found = window.resized(image, whole, top, left, size=24)
    want = full[top : top + 24, left : left + 24]
    assert found.shape == want.shape and np.abs(found - want).max() <= 1
