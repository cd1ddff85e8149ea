"""Weights of the authors' LightningDiT (hustvl/LightningDiT) and SiT.

They turn numbers 2 j and 2 j + 1 of a head by one angle, we j and j + d/2:
columns of q and k, and scales of their norms, are dealt out anew.
"""

import einops
import numpy as np

from jmim.convert import table
from jmim.convert.tables import dit
from jmim.convert.tables import vits
from jmim.methods.diffusion import lightningdit
from jmim.nn import posemb

Table = list[table.Rule | table.Constant]
APART = "(h j two) ... -> (h two j) ..."
TOGETHER = "(h two j) ... -> (h j two) ..."


def halves(heads: int, parts: int) -> table.Op:
  """Pairs beside each other <-> half a head apart, of the first two parts.

  Args:
    heads: attention heads in each part.
    parts: 3: q, k, v, of which v stays as it is; 1: one vector per head.
  """

  def turn(pattern):
    def call(x):
      cut = np.split(x, parts)
      turned = [einops.rearrange(c, pattern, h=heads, two=2) for c in cut[:2]]
      return np.concatenate([*turned, *cut[2:]])

    return call

  ours, theirs = turn(APART), turn(TOGETHER)
  return table.Op(lambda x: ours(x).T, lambda x: theirs(x.T))


def full(method: lightningdit.LightningDiT) -> Table:
  """The whole network; tables of positions and angles are checked."""
  block, ours = "blocks.{i}", "blocks/layers"
  mlp = () if method.swiglu else dit.FFN
  rules = dit.full(method, mlp)
  if method.swiglu:
    rules += vits.packed(f"{block}.mlp", ("w12", "w3"), f"{ours}/mlp")
  if method.norm == "rms":
    rules += [
      table.Rule(theirs=f"{block}.norm{i}.weight", ours=f"{ours}/norm{i}/scale")
      for i in (1, 2)
    ]
    rules.append(
      table.Rule(theirs="final_layer.norm_final.weight", ours="norm/scale")
    )
  op = halves(1, 1) if method.rotary else table.SAME
  leaves = [("weight", "scale")] + [("bias", "bias")] * (method.norm == "layer")
  for n in "qk" if method.qk_norm else "":
    rules += [
      table.Rule(
        theirs=f"{block}.attn.{n}_norm.{theirs}",
        ours=f"{ours}/attn/{n}_norm/{leaf}",
        op=op,
      )
      for theirs, leaf in leaves
    ]
  return _turned(method, rules) if method.rotary else rules


def _turned(method, rules: Table) -> Table:
  """With rotary positions: other columns of q and k, and fixed angles."""
  size = method.dims.size
  op = halves(size.heads, 3)
  rules = [
    r
    if ".attn.qkv." not in r.theirs
    else table.Rule(theirs=r.theirs, ours=r.ours, op=op)
    for r in rules
  ]
  head = size.width // size.heads
  angles = posemb.rotary(
    method.dims.grid(method.size), head, lightningdit.THETA
  )
  angles = np.repeat(angles, 2, axis=1)
  return [
    *rules,
    table.Constant(theirs="feat_rope.freqs_cos", value=np.cos(angles)),
    table.Constant(theirs="feat_rope.freqs_sin", value=np.sin(angles)),
  ]


def sit(method: lightningdit.LightningDiT) -> Table:
  """SiT's names are those of DiT."""
  return dit.full(method)


def is_sit(method: lightningdit.LightningDiT) -> str | None:
  """Why a method is not SiT's network; None: it is."""
  made = (method.norm, method.swiglu, method.rotary, method.qk_norm)
  if made == ("layer", False, False, False) and method.adaln_shift:
    return None
  return (
    "norm is 'layer', adaln_shift True, swiglu, rotary, qk_norm False there"
  )
