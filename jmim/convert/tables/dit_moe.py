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
  if method.qk_norm:
    for theirs, name in (("q_norm", "q_norm"), ("k_norm", "k_norm")):
      norm = mae.norm(
        f"blocks.{{i}}.attn.{theirs}", f"blocks/layers/attn/{name}"
      )
      rules += norm
  return rules
