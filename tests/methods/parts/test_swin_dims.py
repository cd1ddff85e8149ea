import pytest

from jmim.methods.parts import swin_dims


def test_overrides_win_and_empty_ones_are_those_of_the_variant():
  dims = swin_dims.SwinDims(variant="SwinB/4", depths=(1, 1), window=3)
  size = dims.size
  assert (size.width, size.depths, size.window) == (128, (1, 1), 3)
  assert size.heads == (4, 8, 16, 32) and size.blocks == 2
  assert (dims.patch, dims.grid(64)) == (4, (16, 16))


def test_windows_must_divide_the_grid_or_cover_it():
  small = dict(width=8, depths=(1,), heads=(2,))
  swin_dims.SwinDims(variant="SwinT/4", window=8, **small).check(24)
  with pytest.raises(ValueError, match="a grid of 6 in windows of window 4"):
    swin_dims.SwinDims(variant="SwinT/4", window=4, **small).check(24)
