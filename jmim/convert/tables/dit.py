"""Weights of the authors' DiT (facebookresearch/DiT)."""

from jmim.convert import table
from jmim.convert.tables import mae
from jmim.methods.diffusion import dit
from jmim.nn import posemb

FFN = (("mlp.fc1", "mlp/fc1"), ("mlp.fc2", "mlp/fc2"))


def full(method: dit.DiT, ffn=FFN) -> list[table.Rule | table.Constant]:
  """The whole network; its position table is checked, not imported.

  Args:
    method: the method.
    ffn: (their name, ours) of each linear layer after attention in a block.
  """
  conv = table.patch_conv(method.channels)
  rows = posemb.sincos_2d(method.dims.size.width, method.dims.grid(method.size))
  rules: list[table.Rule | table.Constant] = [
    table.Constant(theirs="pos_embed", value=rows[None]),
    table.Rule(
      theirs="x_embedder.proj.weight", ours="patch_embed/kernel", op=conv
    ),
    table.Rule(theirs="x_embedder.proj.bias", ours="patch_embed/bias"),
    *mae.dense("t_embedder.mlp.0", "time_embed/fc1"),
    *mae.dense("t_embedder.mlp.2", "time_embed/fc2"),
    *mae.dense("final_layer.adaLN_modulation.1", "modulation"),
    *mae.dense("final_layer.linear", "pred"),
  ]
  if method.labels.classes:
    name = "y_embedder.embedding_table.weight"
    rules.append(table.Rule(theirs=name, ours="label_embed/embedding"))
  for theirs, ours in (
    ("attn.qkv", "attn/qkv"),
    ("attn.proj", "attn/proj"),
    *ffn,
    ("adaLN_modulation.1", "modulation"),
  ):
    rules += mae.dense(f"blocks.{{i}}.{theirs}", f"blocks/layers/{ours}")
  return rules
