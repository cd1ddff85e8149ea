"""Weights of the authors' CropMAE (alexandre-eymael/CropMAE)."""

from jmim.convert import table
from jmim.convert.tables import mae
from jmim.methods.mim import cropmae
from jmim.nn import posemb


def full(method: cropmae.CropMAE) -> list[table.Rule | table.Constant]:
  """Encoder and decoder."""
  rows = posemb.sincos_2d(method.decoder.size.width, method.grid, prefix=1)
  theirs, ours = "decoder_blocks.{i}", "decoder/blocks/layers"
  split = lambda leaf: tuple(f"{ours}/cross/{n}/{leaf}" for n in "qkv")
  look, own = f"{theirs}.multihead_attn", f"{theirs}.self_attn"
  return [
    *mae.encoder(method.encoder, method.channels, "encoder/"),
    table.Rule(theirs="mask_token", ours="decoder/mask_token"),
    table.Constant(theirs="decoder_pos_embed", value=rows[None]),
    *mae.dense("decoder_embed", "decoder/embed"),
    table.Rule(
      theirs=f"{look}.in_proj_weight", ours=split("kernel"), op=table.LINEAR
    ),
    table.Rule(theirs=f"{look}.in_proj_bias", ours=split("bias")),
    *mae.dense(f"{look}.out_proj", f"{ours}/cross/proj"),
    table.Rule(
      theirs=f"{own}.in_proj_weight",
      ours=f"{ours}/attn/qkv/kernel",
      op=table.LINEAR,
    ),
    table.Rule(theirs=f"{own}.in_proj_bias", ours=f"{ours}/attn/qkv/bias"),
    *mae.dense(f"{own}.out_proj", f"{ours}/attn/proj"),
    *mae.dense(f"{theirs}.linear1", f"{ours}/mlp/fc1"),
    *mae.dense(f"{theirs}.linear2", f"{ours}/mlp/fc2"),
    *mae.norm(f"{theirs}.norm1", f"{ours}/norm1"),
    *mae.norm(f"{theirs}.norm2", f"{ours}/norm2"),
    *mae.norm(f"{theirs}.norm3", f"{ours}/norm3"),
    *mae.norm("decoder_norm", "decoder/norm"),
    *mae.dense("decoder_pred", "decoder/pred"),
  ]
