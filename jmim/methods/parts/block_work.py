"""What attention to a share of its blocks costs, in closed form."""

from jmim.methods.parts import block_sparse


def work(
  rule: block_sparse.BlockSparse, tokens: int, width: int, steps: int
) -> int:
  """FLOPs of a layer's attention on a path of one clip (`cost.flops`).

  With t tokens, T those of n whole blocks, k of them kept, and w the width:

      dense    4 t^2 w
      search   6 t T w               q k twice, p v once
      sparse   4 T k block w         "whole": as dense
      refresh  2 t T w + that        "window", "random": S is not needed

  Args:
    rule: what is kept, and when.
    tokens: t.
    width: of all heads.
    steps: calls of the path.
  """
  padded = rule.layout(tokens).video * rule.block
  kept = 4 * padded * rule.base(tokens) * rule.block * width
  if rule.selection == "whole":
    kept = 4 * tokens**2 * width
  pair = 2 * tokens * padded * width
  sums = 0 if rule.selection in block_sparse.BLIND else pair
  each = {
    "dense": 4 * tokens**2 * width,
    "search": 2 * pair + sums,
    "refresh": sums + kept,
    "sparse": kept,
  }
  found = rule.segments(steps)
  return sum(each[s.phase] * (s.stop - s.start) for s in found)
