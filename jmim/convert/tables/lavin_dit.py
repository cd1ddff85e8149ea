"""Weights of the authors' LaVin-DiT (DerrickWang005/LaVin-DiT).

Rotary positions turn halves of each axis' slice of a head, there as here.
"""

from jmim.convert import family
from jmim.convert import ops
from jmim.convert import pieces
from jmim.convert import table
from jmim.methods.latent import lavin_dit

STREAMS = (("cond", "context", "prompt"), ("x", "target", "answer"))
ROW = ops.Op(lambda x: x[0], lambda x: x[None])


def stream(theirs: str, ours: str) -> pieces.Table:
  """Layers of one stream in each block."""
  at = "blocks.{i}."
  rules = pieces.dense(f"{at}{theirs}_modulation.1", f"{ours}/modulation")
  for name in ("q", "k", "v", "proj"):
    there = f"{at}joint_attn.{theirs}_{name}"
    rules += pieces.dense(there, f"{ours}/{name}", bias=False)
  for name in "qk":
    rules.append(
      table.Rule(
        theirs=f"{at}joint_attn.{theirs}_{name}norm.weight",
        ours=f"{ours}/{name}_norm/scale",
      )
    )
  for name in ("gate", "up", "down"):
    there = f"{at}{theirs}_mlp.{name}_proj"
    rules += pieces.dense(there, f"{ours}/mlp/{name}", bias=False)
  return rules


def full(method: lavin_dit.LaVinDiT | None = None) -> pieces.Table:
  """Everything; the sizes of a method make no difference."""
  del method
  rules = pieces.mlp("t_embedder.mlp", "time_embed", ("0", "2"))
  rules += pieces.dense("final_layer.linear", "pred")
  rules += pieces.dense("final_layer.adaLN_modulation.1", "modulation")
  for theirs, ours, token in STREAMS:
    rules += pieces.dense(f"{theirs}_embedder.0", f"{ours}_embed")
    rules += pieces.norm(f"{theirs}_embedder.1", f"{ours}_norm")
    rules.append(
      table.Rule(theirs=f"{token}_embed", ours=f"{ours}_token", op=ROW)
    )
    rules += table.placed(stream(theirs, ours), "", "blocks/layers/")
  return rules


FAMILIES = {
  "lavin_dit": family.Family(
    library="authors",
    methods=("latent.lavin_dit",),
    table=family.main(full),
    containers=("module.", ""),
  )
}
