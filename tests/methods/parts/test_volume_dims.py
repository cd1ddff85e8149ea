import pytest

from jmim.core import runtime
from jmim.methods.parts import volume_dims

DIMS = volume_dims.VolumeDims(widths=(4, 6), depths=(1, 2), hidden=8)


def test_the_network_has_what_the_section_says():
  rt = runtime.Runtime(scan=True)
  part = volume_dims.VolumeDims(
    widths=(4, 6),
    depths=(1, 2),
    hidden=8,
    slices=2,
    states=3,
    side=5,
    expand=1,
    rt=rt,
  )
  net = part.network(3)
  size = net.size
  assert (size.widths, size.depths, size.slices) == ((4, 6), (1, 2), 2)
  assert (size.states, size.side, size.expand) == (3, 5, 1)
  assert (net.hidden, net.out, net.rt) == (8, 3, rt)


@pytest.mark.parametrize(
  ("changes", "shape", "said"),
  [
    (dict(widths=(), depths=()), (8, 40, 40), "one number of each per stage"),
    (dict(depths=(1,)), (8, 40, 40), "one number of each per stage"),
    (dict(depths=(0, 1)), (8, 40, 40), "positive"),
    ({}, (8, 42, 40), "multiples of 4"),
    ({}, (8, 48, 48), "dims.slices=5"),
  ],
)
def test_sizes_that_cannot_be_built_are_errors(changes, shape, said):
  sizes = dict(widths=(4, 6), depths=(1, 2)) | changes
  with pytest.raises(ValueError, match=said):
    volume_dims.VolumeDims(**sizes).check(shape)


def test_what_can_be_built_is_none():
  DIMS.check((8, 40, 40))
