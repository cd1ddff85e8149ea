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


def linear(theirs: str, ours: str, bias: bool = True) -> pieces.Table:
  """A linear map."""
  rules: pieces.Table = [
    table.Rule(theirs=f"{theirs}.weight", ours=f"{ours}/kernel", op=ops.LINEAR)
  ]
  if bias:
    rules.append(table.Rule(theirs=f"{theirs}.bias", ours=f"{ours}/bias"))
  return rules


def stream(theirs: str, ours: str) -> pieces.Table:
  """Layers of one stream in each block."""
  at = "blocks.{i}."
  rules = linear(f"{at}{theirs}_modulation.1", f"{ours}/modulation")
  for name in ("q", "k", "v", "proj"):
    there = f"{at}joint_attn.{theirs}_{name}"
    rules += linear(there, f"{ours}/{name}", bias=False)
  for name in "qk":
    rules.append(
      table.Rule(
        theirs=f"{at}joint_attn.{theirs}_{name}norm.weight",
        ours=f"{ours}/{name}_norm/scale",
      )
    )
  for name in ("gate", "up", "down"):
    there = f"{at}{theirs}_mlp.{name}_proj"
    rules += linear(there, f"{ours}/mlp/{name}", bias=False)
  return rules


def full(method: lavin_dit.LaVinDiT | None = None) -> pieces.Table:
  """Everything; the sizes of a method make no difference."""
  del method
  rules = linear("t_embedder.mlp.0", "time_embed/fc1")
  rules += linear("t_embedder.mlp.2", "time_embed/fc2")
  rules += linear("final_layer.linear", "pred")
  rules += linear("final_layer.adaLN_modulation.1", "modulation")
  for theirs, ours, token in STREAMS:
    rules += linear(f"{theirs}_embedder.0", f"{ours}_embed")
    rules += [
      table.Rule(
        theirs=f"{theirs}_embedder.1.{there}", ours=f"{ours}_norm/{here}"
      )
      for there, here in (("weight", "scale"), ("bias", "bias"))
    ]
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
