"""Weights of the authors' DiT-3D (DiT-3D/DiT-3D), FastDiT-3D unmasked."""

from jmim.convert import family
from jmim.convert import ops
from jmim.convert import pieces
from jmim.convert import table
from jmim.methods.point import fastdit3d
from jmim.nn import grid3d


def full(method: fastdit3d.FastDiT3D) -> pieces.Table:
  """The network; its position table is checked, not imported."""
  size, patch = method.network.dims.size, method.network.dims.patch
  rows = grid3d.sincos(size.width, method.network.grid)
  theirs, ours = "blocks.{i}", "blocks/layers"
  conv = ops.tubelet_conv(patch, patch)  # three axes, the first as frames
  rules = [
    table.Constant(theirs="pos_embed", value=rows[None]),
    *pieces.dense("x_embedder.proj", "patch_embed", op=conv),
    *pieces.dense("t_embedder.mlp.0", "time_embed/fc1"),
    *pieces.dense("t_embedder.mlp.2", "time_embed/fc2"),
    *pieces.dense(f"{theirs}.attn.qkv", f"{ours}/attn/qkv"),
    *pieces.dense(f"{theirs}.attn.proj", f"{ours}/attn/proj"),
    *pieces.mlp(f"{theirs}.mlp", f"{ours}/mlp"),
    *pieces.dense(f"{theirs}.adaLN_modulation.1", f"{ours}/modulation"),
    *pieces.dense("final_layer.adaLN_modulation.1", "modulation"),
    *pieces.dense("final_layer.linear", "pred"),
  ]
  if method.labels.classes:
    name = "y_embedder.embedding_table.weight"
    rules.append(table.Rule(theirs=name, ours="label_embed/embedding"))
  return rules


def is_dit3d(method: fastdit3d.FastDiT3D) -> str | None:
  """Why a method is not the released network; None: it is."""
  if method.masked:
    return "masked=True: weights of the masked model are not released"
  if method.network.windows:
    return "network.windows: those of the released code attend globally"
  return None


FAMILIES = {
  "dit3d": family.Family(
    library="authors",
    methods=("point.fastdit3d",),
    table=family.main(full),
    containers=("model_state.", "model.", "module.", ""),
    aliases=((r"^((model|module)\.)+", ""),),
    check=is_dit3d,
    images=False,
  )
}
