"""Weights of the authors' DiT-MoE (feizc/DiT-MoE)."""

from jmim.convert import table
from jmim.convert.tables import dit
from jmim.convert.tables import mae
from jmim.methods.diffusion import dit_moe


def full(method: dit_moe.DiTMoE) -> list[table.Rule | table.Constant]:
  """DiT with the experts of a layer as one array, expert first."""
  rules = dit.full(method, ffn=())
  block, ours = "blocks.{i}.moe", "blocks/layers/ffn"
  rules.append(
    table.Rule(f"{block}.gate.weight", f"{ours}/router/kernel", table.LINEAR)
  )
  for part in ("gate", "up", "down"):
    each = tuple(
      f"{block}.experts.{e}.{part}_proj.weight" for e in range(method.experts)
    )
    # A single expert is one array on either side: it has its axis by the op.
    rules.append(
      table.Rule(each, f"{ours}/experts/{part}/kernel", table.ONE_OF, axis=0)
    )
    if method.shared:
      name = f"{block}.shared_experts.{part}_proj.weight"
      rules.append(
        table.Rule(name, f"{ours}/shared/{part}/kernel", table.LINEAR)
      )
  if method.qk_norm:
    for theirs, name in (("q_norm", "q_norm"), ("k_norm", "k_norm")):
      norm = mae.norm(
        f"blocks.{{i}}.attn.{theirs}", f"blocks/layers/attn/{name}"
      )
      rules += norm
  return rules
