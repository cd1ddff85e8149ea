"""Kinds of work in a text written here; `test_bench_ours` has a real step."""

from jmim.cost import kinds

TEXT = """HloModule step, is_scheduled=true

%fused (p: f32[8,4]) -> f32[4,8] {
  %p = f32[8,4]{1,0} parameter(0)
  %turned = f32[4,8]{1,0} transpose(%p), dimensions={1,0}
  ROOT %copied = f32[4,8]{1,0} copy(%turned)
}

%dotted (q: f32[8,4], r: f32[4,16]) -> f32[8,16] {
  %q = f32[8,4]{1,0} parameter(0)
  %r = f32[4,16]{1,0} parameter(1)
  ROOT %d = f32[8,16]{1,0} dot(%q, %r), lhs_contracting_dims={1}, rhs_contracting_dims={0}
}

ENTRY %main (x: f32[8,4], w: f32[4,16], a: f32[2,3,5], b: f32[2,5,7]) -> f32[8,16] {
  %x = f32[8,4]{1,0} parameter(0)
  %w = f32[4,16]{1,0} parameter(1)
  %a = f32[2,3,5]{2,1,0} parameter(2)
  %b = f32[2,5,7]{2,1,0} parameter(3)
  %forth = f32[8,16]{1,0} fusion(%x, %w), kind=kCustom, calls=%dotted, metadata={op_name="jit(step)/jvp(ViT)/mlp/fc1/dot_general"}
  %back = f32[8,16]{1,0} dot(%x, %w), lhs_contracting_dims={1}, rhs_contracting_dims={0}, metadata={op_name="jit(step)/transpose(jvp(ViT))/mlp/fc1/dot_general"}
  %logits = f32[2,3,7]{2,1,0} dot(%a, %b), lhs_batch_dims={0}, rhs_batch_dims={0}, lhs_contracting_dims={2}, rhs_contracting_dims={1}, metadata={op_name="jit(step)/jvp(ViT)/attn/attend/dot_general"}
  %other = f32[4,8]{1,0} fusion(%x), kind=kLoop, calls=%fused
  %gelu = f32[8,16]{1,0} multiply(%forth, %forth), metadata={op_name="jit(step)/jvp(ViT)/mlp/mul"}
  %norm = f32[8,16]{1,0} multiply(%gelu, %back), metadata={op_name="jit(step)/jvp(ViT)/norm1/mul"}
  ROOT %adam = f32[8,16]{1,0} add(%norm, %back), metadata={op_name="jit(step)/add"}
}
"""  # noqa: E501


def test_each_operation_has_a_kind_and_its_quotients():
  spent = {
    "forth": (2.0, 2),
    "back": (4.0, 2),
    "logits": (1.0, 2),
    "other": (0.5, 4),
    "gelu": (0.25, 2),
    "norm": (0.125, 2),
    "adam": (3.0, 2),
    "unknown": (9.0, 1),  # not of this program
  }
  by_kind, by_shape = kinds.rows(TEXT, spent, 2)
  found = {row.name: row for row in by_kind}
  assert {name: row.seconds for name, row in found.items()} == {
    f"{kinds.DEPENDENT}, backward": 2.0,
    kinds.OUTSIDE: 1.5,
    f"{kinds.DEPENDENT}, forward": 1.0,
    kinds.BATCHED: 0.5,
    kinds.COPIES: 0.25,
    kinds.ACTIVATION: 0.125,
    kinds.NORMS: 0.0625,
  }
  assert [row.seconds for row in by_kind] == sorted(
    (row.seconds for row in by_kind), reverse=True
  )
  assert found[f"{kinds.DEPENDENT}, forward"].flops == 2 * 8 * 4 * 16
  assert found[kinds.BATCHED].flops == 2 * 2 * 3 * 5 * 7
  assert found[kinds.COPIES].bytes == 2 * (2 * 8 * 4 * 4)  # two runs a step
  assert found[kinds.COPIES].flops == 0 and found[kinds.COPIES].runs == 2
  assert {row.name: row.runs for row in by_shape} == {
    "[8, 4] x [4, 16]": 2,
    "[6, 5] x [5, 7]": 1,
  }
