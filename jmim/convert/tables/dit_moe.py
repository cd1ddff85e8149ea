"""Weights of the authors' DiT-MoE (feizc/DiT-MoE)."""

import dataclasses

from jmim.convert import family
from jmim.convert import ops
from jmim.convert import pieces
from jmim.convert import table
from jmim.convert.tables import dit
from jmim.methods.diffusion import dit_moe


def full(method: dit_moe.DiTMoE) -> pieces.Table:
  """DiT with the experts of a layer as one array, expert first."""
  theirs, ours = "blocks.{i}.moe", "blocks/layers/ffn"
  moe = method.net.ffn(parent=None)
  rules = dit.network(method.net, mlp=False)
  rules += pieces.dense(f"{theirs}.gate", f"{ours}/router", bias=False)
  for part in ("gate", "up", "down"):
    each = tuple(
      f"{theirs}.experts.{e}.{part}_proj.weight" for e in range(moe.experts)
    )
    # A single expert is one array on either side: it has its axis by the op.
    rules.append(
      table.Rule(
        theirs=each,
        ours=f"{ours}/experts/{part}/kernel",
        op=ops.ONE_OF,
        axis=0,
      )
    )
    if moe.shared:
      name = f"{theirs}.shared_experts.{part}_proj"
      rules += pieces.dense(name, f"{ours}/shared/{part}", bias=False)
  if not method.net.qk_norm:
    return rules
  for name in ("q_norm", "k_norm"):
    rules += pieces.norm(
      f"blocks.{{i}}.attn.{name}", f"blocks/layers/attn/{name}"
    )
  return [_flash(rule) for rule in rules]


def _flash(rule: table.Rule | table.Constant) -> table.Rule | table.Constant:
  """Attention with norms of q and k is another class, with names of its own."""
  theirs = rule.theirs
  if isinstance(theirs, str):
    theirs = theirs.replace(".attn.qkv.", ".attn.Wqkv.")
    theirs = theirs.replace(".attn.proj.", ".attn.out_proj.")
  return dataclasses.replace(rule, theirs=theirs)


FAMILIES = {
  "dit_moe": family.Family(
    library="authors",
    methods=("diffusion.dit_moe",),
    table=family.main(full),
    containers=("ema.", "model.", ""),
  )
}
