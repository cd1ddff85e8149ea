"""Weights of the authors' DiT-MoE (feizc/DiT-MoE)."""

import dataclasses

from jmim.convert import table
from jmim.convert.tables import dit
from jmim.convert.tables import mae
from jmim.methods.diffusion import dit_moe


def full(method: dit_moe.DiTMoE) -> list[table.Rule | table.Constant]:
  """DiT with the experts of a layer as one array, expert first."""
  rules = dit.full(method, ffn=())
  block, ours = "blocks.{i}.moe", "blocks/layers/ffn"
  rules.append(
    table.Rule(
      theirs=f"{block}.gate.weight",
      ours=f"{ours}/router/kernel",
      op=table.LINEAR,
    )
  )
  for part in ("gate", "up", "down"):
    each = tuple(
      f"{block}.experts.{e}.{part}_proj.weight" for e in range(method.experts)
    )
    # A single expert is one array on either side: it has its axis by the op.
    rules.append(
      table.Rule(
        theirs=each,
        ours=f"{ours}/experts/{part}/kernel",
        op=table.ONE_OF,
        axis=0,
      )
    )
    if method.shared_ratio:
      name = f"{block}.shared_experts.{part}_proj.weight"
      rules.append(
        table.Rule(
          theirs=name, ours=f"{ours}/shared/{part}/kernel", op=table.LINEAR
        )
      )
  if not method.qk_norm:
    return rules
  for n in "qk":
    theirs, name = f"blocks.{{i}}.attn.{n}_norm", f"blocks/layers/attn/{n}_norm"
    rules += mae.norm(theirs, name)
  return [_flash(rule) for rule in rules]


def _flash(rule):
  """Attention with norms of q and k is another class, with names of its own."""
  theirs = rule.theirs
  if isinstance(theirs, str):
    theirs = theirs.replace(".attn.qkv.", ".attn.Wqkv.")
    theirs = theirs.replace(".attn.proj.", ".attn.out_proj.")
  return dataclasses.replace(rule, theirs=theirs)
