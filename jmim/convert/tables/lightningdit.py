"""Weights of the authors' LightningDiT (hustvl/LightningDiT) and SiT.

Rotary positions turn features 2 j and 2 j + 1 of a head by one angle there, j
and j + d/2 here: columns of q and k, and scales of their norms, are reordered.
"""

import dataclasses

import einops
import numpy as np

from jmim.convert import family
from jmim.convert import ops
from jmim.convert import pieces
from jmim.convert import table
from jmim.convert.tables import dit
from jmim.methods.diffusion import lightningdit
from jmim.nn import posemb
from jmim.nn.nets import dit as nets

APART = "(h j two) ... -> (h two j) ..."
TOGETHER = "(h two j) ... -> (h j two) ..."


def halves(heads: int, parts: int) -> ops.Op:
  """Pairs side by side <-> pairs half a head apart, in the first two parts.

  Args:
    heads: attention heads in each part.
    parts: 3: q, k, v, of which v stays as it is; 1: one vector per head.
  """

  def reorder(pattern):
    def call(x):
      cut = np.split(x, parts)
      moved = [einops.rearrange(c, pattern, h=heads, two=2) for c in cut[:2]]
      return np.concatenate([*moved, *cut[2:]])

    return call

  ours, theirs = reorder(APART), reorder(TOGETHER)
  return ops.Op(lambda x: ours(x).T, lambda x: theirs(x.T))


def full(method: lightningdit.LightningDiT) -> pieces.Table:
  """The whole network; tables of positions and angles are checked."""
  net, theirs, ours = method.net, "blocks.{i}", "blocks/layers"
  rules = dit.network(net, mlp=not net.swiglu)
  if net.swiglu:
    rules += pieces.swiglu(f"{theirs}.mlp", f"{ours}/mlp", ("w12", "w3"))
  scales = {}
  if net.rms:
    scales = {f"{theirs}.norm{i}": f"{ours}/norm{i}" for i in (1, 2)}
    scales["final_layer.norm_final"] = "norm"
  rules += [
    table.Rule(theirs=f"{a}.weight", ours=f"{b}/scale")
    for a, b in scales.items()
  ]
  op = halves(1, 1) if net.theta else ops.SAME
  leaves = [("weight", "scale")] + ([] if net.rms else [("bias", "bias")])
  for n in "qk" if net.qk_norm else "":
    rules += [
      table.Rule(
        theirs=f"{theirs}.attn.{n}_norm.{there}",
        ours=f"{ours}/attn/{n}_norm/{leaf}",
        op=op,
      )
      for there, leaf in leaves
    ]
  return _rotary(net, rules) if net.theta else rules


def _rotary(net: nets.DiT, rules: pieces.Table) -> pieces.Table:
  """With rotary positions: other columns of q and k, and fixed angles."""
  op = halves(net.size.heads, 3)
  rules = [
    dataclasses.replace(r, op=op) if ".attn.qkv." in r.theirs else r
    for r in rules
  ]
  head = net.size.width // net.size.heads
  angles = np.repeat(posemb.rotary(net.grid, head, net.theta), 2, axis=1)
  return [
    *rules,
    table.Constant(theirs="feat_rope.freqs_cos", value=np.cos(angles)),
    table.Constant(theirs="feat_rope.freqs_sin", value=np.sin(angles)),
  ]


def sit(method: lightningdit.LightningDiT) -> pieces.Table:
  """SiT's names are those of DiT."""
  return dit.network(method.net)


def is_sit(method: lightningdit.LightningDiT) -> str | None:
  """Why a method is not SiT's network; None: it is."""
  net = method.net
  if net.rms or net.swiglu or net.theta or net.qk_norm or not net.shift:
    return (
      "norm is 'layer', adaln_shift True, swiglu, rotary, qk_norm False there"
    )
  if net.out != 2 * method.channels:
    return "spare=False, which is True there"
  return None


FAMILIES = {
  "lightningdit": family.Family(
    library="authors",
    methods=("diffusion.lightningdit",),
    table=family.main(full),
    containers=("ema.", "model.", ""),
    aliases=((r"^module\.", ""),),
  ),
  "sit": family.Family(
    library="authors",
    methods=("diffusion.lightningdit",),
    table=family.main(sit),
    containers=("ema.", "model.", ""),
    check=is_sit,
    priority=1,
  ),
}
