import dataclasses

import pytest

from jmim.nn.nets import dimr_dims

SIDE = 8
DIMS = dimr_dims.Dims(
  widths=(16, 8),
  blocks=(4, 1),
  heads=(2, 1),
  kernels=(1, 3),
  patches=(4, 2),
)


def test_blocks_are_an_odd_number():
  for asked, depth in enumerate((1, 3, 3, 5, 5, 7), start=1):
    one = dataclasses.replace(DIMS, blocks=(asked, 1)).branches(SIDE)[0]
    assert (one.depth, one.half) == (depth, depth // 2)


def test_sides_of_maps_and_predictions():
  few = dataclasses.replace(DIMS, patches=(2, 2), reduced=(2, 1))
  coarse, fine = few.branches(SIDE)
  assert (coarse.side, coarse.out, coarse.hidden) == (2, 2, 32)
  assert (fine.side, fine.out, fine.hidden) == (4, 8, 16)
  assert few.full(SIDE) and few.weights(SIDE) == (1 / 16, 1.0)
  own = dataclasses.replace(few, unfolded=False)
  assert [b.out for b in own.branches(SIDE)] == [2, 4]
  assert not own.full(SIDE) and own.weights(SIDE) == (1 / 16, 1 / 4)
  few.check_full(SIDE)
  with pytest.raises(ValueError, match="dims.unfolded=False"):
    own.check_full(SIDE)
  assert dataclasses.replace(own, patches=(2, 1)).full(SIDE)


@pytest.mark.parametrize(
  "changes, message",
  [
    (dict(heads=(2,)), "one entry per branch"),
    (dict(kinds=("transformer", "mlp")), r"dims.kinds\[1\] 'mlp'"),
    (dict(patches=(3, 1)), "size 8 does not divide by .* 3 of branch 0"),
    (dict(patches=(2, 4)), "side 2, no multiple of 4"),
    (dict(kernels=(1, 4)), r"dims.kernels\[1\] 4: sides are odd"),
    (dict(heads=(3, 1)), r"dims.widths\[0\] 16 does not divide by"),
    (dict(blocks=(0, 1)), "numbers below 1 in branch 0"),
    (dict(rotary=True, heads=(8, 1)), "are 2 wide, no multiple of 4"),
  ],
)
def test_mistakes(changes, message):
  with pytest.raises(ValueError, match=message):
    dataclasses.replace(DIMS, **changes).branches(SIDE)
