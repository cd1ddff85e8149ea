"""Weights of LinFusion (Huage001/LinFusion): a list of attentions.

The file holds the modules of one UNet in the order of its parts in Diffusers:
all that goes down, all that goes up, the middle. Each has the host's own
to_q, to_k, to_v and to_out beside what is new, to_q_ and to_k_.
"""

from jmim.convert import pieces

FEATURES = {"fc1": "0", "fc2": "3"}  # the norm is 1, the activation 2


def mixer(mid: int = 0) -> pieces.Table:
  """One attention; our names without a prefix.

  Args:
    mid: of `linear_attention.Features`; -1: the maps have no parameters.
  """
  rules: pieces.Table = []
  for x in "qkv":
    rules += pieces.dense(f"to_{x}", x, bias=False)
  rules += pieces.dense("to_out.0", "proj")
  if mid < 0:
    return rules
  for x in "qk":
    theirs, ours = f"to_{x}_", f"{x}_features"
    rules += pieces.norm(f"{theirs}.1", f"{ours}/norm")
    for name, number in FEATURES.items():
      rules += pieces.dense(f"{theirs}.{number}", f"{ours}/{name}")
  return rules
