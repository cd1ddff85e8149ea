import pytest

from jmim.methods.parts import mcmae_dims
from jmim.nn.nets import mcmae


def test_overrides_win_and_empty_ones_are_those_of_the_variant():
  dims = mcmae_dims.MCMAEDims(widths=(8, 16, 24), heads=3)
  assert dims.size == mcmae.Size(widths=(8, 16, 24), depths=(2, 2, 11), heads=3)
  assert (dims.patch, dims.grid(224)) == (16, (14, 14))
  small = mcmae_dims.MCMAEDims(strides=(1, 2, 2))
  assert (small.patch, small.grid(32)) == (4, (8, 8))


@pytest.mark.parametrize(
  "fields, side, word",
  [
    ({"widths": (8, 16)}, 32, "widths"),
    ({"depths": (1,)}, 32, "depths"),
    ({"strides": (4, 0, 2)}, 32, "positive"),
    ({"depths": (1, -1, 2)}, 32, "positive"),
    ({"heads": 5}, 32, "heads"),
    ({}, 40, "side 40"),
    ({"widths": (8, 16, 18), "heads": 3}, 32, "by 4"),
  ],
)
def test_what_does_not_fit_is_named(fields, side, word):
  with pytest.raises(ValueError, match=word):
    mcmae_dims.MCMAEDims(**fields).check(side)
