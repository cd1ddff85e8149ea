"""Reading the text of programs."""

import jax
import jax.numpy as jnp
import pytest

from jmim.cost import hlo

LOOP = """HloModule step, is_scheduled=true

%body (s: (s32[], bf16[4,8])) -> (s32[], bf16[4,8]) {
  %s = (s32[]{:T(128)}, bf16[4,8]{1,0}) parameter(0)
  %i = s32[]{:T(128)} get-tuple-element(%s), index=0
  %x = bf16[4,8]{1,0} get-tuple-element(%s), index=1
  %y = bf16[4,8]{1,0} negate(%x)
  %one = s32[]{:T(128)} constant(1)
  %next = s32[]{:T(128)} add(%i, %one)
  ROOT %t = (s32[], bf16[4,8]) tuple(%next, %y)
}

%condition (c: (s32[], bf16[4,8])) -> pred[] {
  %c = (s32[]{:T(128)}, bf16[4,8]{1,0}) parameter(0)
  %ci = s32[]{:T(128)} get-tuple-element(%c), index=0
  %end = s32[]{:T(128)} constant(6)
  ROOT %lt = pred[]{:T(512)} compare(%ci, %end), direction=LT
}

ENTRY %main (x0: bf16[4,8]) -> bf16[4,8] {
  %x0 = bf16[4,8]{1,0} parameter(0)
  %start = s32[]{:T(128)} constant(0)
  %init = (s32[], bf16[4,8]) tuple(%start, %x0)
  %loop = (s32[], bf16[4,8]) while(%init), condition=%condition, body=%body
  ROOT %out = bf16[4,8]{1,0} get-tuple-element(%loop), index=1
}
"""


def turns(text):
  """How often the body of the loop runs."""
  walk = hlo.parse(text).walk()
  (times,) = {times for op, _, times, _ in walk if op.opcode == "negate"}
  return times


def test_the_turns_of_a_loop_follow_from_its_bound_and_its_start():
  assert turns(LOOP) == 6
  assert turns(LOOP.replace("constant(0)", "constant(2)")) == 4


def test_a_compilers_note_on_trips_wins():
  note = 'body=%body, backend_config={"known_trip_count":{"n":"5"}}'
  assert turns(LOOP.replace("body=%body", note)) == 5


@pytest.mark.parametrize("stride, times", [(2, 3), (4, 2)])
def test_a_turn_may_count_by_more_than_one(stride, times):
  """As the compiler's windowed products do: two shards of a ring per turn."""
  assert turns(LOOP.replace("constant(1)", f"constant({stride})")) == times


UNBOUNDED = LOOP.replace("constant(6)", "parameter(1)")


@pytest.mark.parametrize("name", ["all-reduce", "collective-permute-start"])
def test_a_dear_loop_without_a_bound_is_an_error(name):
  sums = f"negate(%x)\n  %z = bf16[4,8]{{1,0}} {name}(%y)"
  with pytest.raises(ValueError, match="loop"):
    turns(UNBOUNDED.replace("negate(%x)", sums))


def test_draws_by_rejection_count_once():
  """A beta distribution is drawn until the numbers are accepted."""
  assert turns(UNBOUNDED) == 1


def test_a_text_without_entry_is_an_error():
  with pytest.raises(ValueError, match="ENTRY"):
    hlo.parse("HloModule nothing")


def test_a_line_is_read_as_name_kind_operands_and_attributes():
  op = hlo.parse_line(
    "  ROOT %f.1 = (f32[2,3]{1,0}, u8[5]{0:S(1)}) fusion(%a, %b.2), "
    'kind=kLoop, calls=%inner, metadata={op_name="jit(f)/x"}'
  )
  assert (op.name, op.opcode, op.root) == ("f.1", "fusion", True)
  assert op.operands == ("a", "b.2") and op.called == {"calls": ["inner"]}
  assert op.attr("kind") == "kLoop" and op.attr("nothing") == ""
  assert op.bytes == 2 * 3 * 4 + 5
  assert [s.hbm for s in op.shapes] == [True, False]  # S(1) is VMEM
  assert hlo.parse_line("}") is None


@pytest.mark.parametrize(
  "text, size",
  [
    ("f32[2,3]", 24),
    ("bf16[5]", 10),
    ("pred[7]", 7),
    ("s4[8]", 4),
    ("f8[]", 1),
  ],
)
def test_bytes_are_those_of_the_dtype(text, size):
  (shape,) = hlo.shapes_of(text)
  assert shape.bytes == size


def test_the_operations_of_a_compiled_scan_run_as_often_as_it_turns():
  def fn(x, ws):
    return jax.lax.scan(lambda x, w: (jnp.tanh(x @ w), None), x, ws)[0]

  args = jnp.ones((4, 8)), jnp.ones((7, 8, 8))
  program = hlo.parse(jax.jit(fn).lower(*args).compile().as_text())
  times = {n for op, _, n, _ in program.walk() if op.opcode == "dot"}
  assert times == {7}
