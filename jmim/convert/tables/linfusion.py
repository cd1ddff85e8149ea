"""Weights of LinFusion (Huage001/LinFusion): a list of attentions.

The file holds the modules of one UNet, numbered in the order of its parts in
Diffusers: all that goes down, all that goes up, the middle. Each has to_q,
to_k, to_v and to_out in the place of the host's, and what is new, to_q_ and
to_k_.
"""

from jmim.convert import family
from jmim.convert import pieces
from jmim.convert import table
from jmim.methods.diffusion import linfusion
from jmim.nn.nets import unet

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


def places(net: unet.UNet) -> list[str]:
  """Names of a network's self-attentions in the order of the file."""
  levels = list(range(len(net.multipliers)))
  blocks = net.blocks_at
  down = [("down", n, i) for n in levels for i in range(blocks[n])]
  up = [("up", n, i) for n in levels[::-1] for i in range(blocks[n] + 1)]
  found = [f"{s}{n}_{i}" for s, n, i in down + up if net.attends(n, i)]
  return [
    f"{name}_attention/self_{k}"
    for name in (*found, "middle")
    for k in range(net.transformer)
  ]


def full(method: linfusion.LinFusion) -> pieces.Table:
  """All mixers of a student."""
  rules, one = [], mixer(method.bottleneck)
  for number, place in enumerate(places(method.net(method.form))):
    rules += table.placed(one, f"{number}.", f"{family.MAIN}new/net/{place}/")
  return rules


FAMILIES = {
  "linfusion": family.Family(
    library="authors",
    methods=("diffusion.linfusion",),
    table=full,
    # Whole attentions, not what they add to a host's.
    fixed={"start": "fresh", "form": "linear"},
  )
}
