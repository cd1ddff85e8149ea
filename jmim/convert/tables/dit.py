"""Weights of the authors' DiT (facebookresearch/DiT)."""

from jmim.convert import family
from jmim.convert import ops
from jmim.convert import pieces
from jmim.convert import table
from jmim.methods.diffusion import dit
from jmim.nn import posemb
from jmim.nn.nets import dit as nets


def network(model: nets.DiT, mlp: bool = True) -> pieces.Table:
  """The whole network; its position table is checked, not imported.

  Args:
    model: the network.
    mlp: each block has an MLP of two linear layers.
  """
  rows = posemb.sincos_2d(model.size.width, model.grid, step=model.step)
  theirs, ours = "blocks.{i}", "blocks/layers"
  rules = [
    table.Constant(theirs="pos_embed", value=rows[None]),
    *pieces.dense(
      "x_embedder.proj", "patch_embed", op=ops.patch_conv(model.patch)
    ),
    *pieces.dense("t_embedder.mlp.0", "time_embed/fc1"),
    *pieces.dense("t_embedder.mlp.2", "time_embed/fc2"),
    *pieces.dense(f"{theirs}.attn.qkv", f"{ours}/attn/qkv"),
    *pieces.dense(f"{theirs}.attn.proj", f"{ours}/attn/proj"),
    *pieces.dense(f"{theirs}.adaLN_modulation.1", f"{ours}/modulation"),
    *pieces.dense("final_layer.adaLN_modulation.1", "modulation"),
    *pieces.dense("final_layer.linear", "pred"),
  ]
  if model.classes:
    name = "y_embedder.embedding_table.weight"
    rules.append(table.Rule(theirs=name, ours="label_embed/embedding"))
  return rules + (pieces.mlp(f"{theirs}.mlp", f"{ours}/mlp") if mlp else [])


def full(method: dit.DiT) -> pieces.Table:
  """The network."""
  return network(method.net)


FAMILIES = {
  "dit": family.Family(
    library="authors",
    methods=("diffusion.dit",),
    table=family.main(full),
    containers=("ema.", "model.", ""),
  )
}
