"""What chips send each other, read from lines of programs."""

import pytest

from jmim.cost import hlo
from jmim.cost import hlo_collectives


def groups(text, devices=8):
  op = hlo.parse_line(f"  %r = f32[4] all-reduce(%x), {text}, to_apply=%add")
  return hlo_collectives.members(op, devices).tolist()


@pytest.mark.parametrize(
  "text, expected",
  [
    ("replica_groups={{0,1},{2,3}}", [[0, 1], [2, 3]]),
    ("replica_groups=[2,4]<=[8]", [[0, 1, 2, 3], [4, 5, 6, 7]]),
    ("replica_groups=[2,2]<=[2,2]T(1,0)", [[0, 2], [1, 3]]),
    ("replica_groups={}", [list(range(8))]),
    ("replica_groups=mesh['a'=2,'b'=2] {'b'}", [[0, 1], [2, 3]]),
    ("replica_groups=mesh['a'=2,'b'=2] {'a'}", [[0, 2], [1, 3]]),
    ("replica_groups=mesh['a'=4] {'a':(1)2}", [[0, 2], [1, 3]]),
    ("replica_groups=mesh['a'=4] {'a':(2)2}", [[0, 1], [2, 3]]),
    ("source_target_pairs={{0,1},{1,0}}", [[0, 1], [1, 0]]),
  ],
)
def test_who_takes_part(text, expected):
  assert groups(text) == expected


@pytest.mark.parametrize(
  "kind, sent",
  [
    ("all-gather", 16 * 3),
    ("all-reduce", 2 * 16 * 3 / 4),
    ("reduce-scatter", 16 * 3 / 4),
    ("all-to-all", 16 * 3 / 4),
    ("all-gather-start", 16 * 3),
  ],
)
def test_bytes_of_collectives_are_those_of_rings(kind, sent):
  x = hlo.parse_line("  %x = f32[4] parameter(0)")
  op = hlo.parse_line(f"  %r = f32[4] {kind}(%x), replica_groups=[2,4]<=[8]")
  found = hlo_collectives.read(op, {"x": x}, times=1, devices=8, slices=2)
  assert (found.bytes, found.group, found.between) == (sent, 4, False)
  across = hlo.parse_line(
    f"  %r = f32[4] {kind}(%x), replica_groups=[2,4]<=[4,2]T(1,0)"
  )
  assert hlo_collectives.read(
    across, {"x": x}, times=1, devices=8, slices=2
  ).between


def test_parts_of_one_collective_share_a_chain():
  line = (
    "  %g = f32[8] all-gather(%x), channel_id=5, "
    'frontend_attributes={{chain_id="{}"}}'
  )
  first, again, other = (
    hlo_collectives.chain(hlo.parse_line(line.format(i))) for i in (0, 0, 1)
  )
  assert first == again != other
  alone = hlo.parse_line("  %g = f32[8] all-gather(%x), channel_id=5")
  assert hlo_collectives.chain(alone) is None
