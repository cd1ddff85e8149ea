"""Weights of the authors' CropMAE (alexandre-eymael/CropMAE)."""

from jmim.convert import family
from jmim.convert import ops
from jmim.convert import pieces
from jmim.convert import table
from jmim.methods.mim import cropmae
from jmim.nn import posemb


def full(method: cropmae.CropMAE) -> pieces.Table:
  """Encoder and decoder; torch's attention has q, k and v as one matrix.

  In the decoder's cross-attention they are three layers here.
  """
  decoder = method.decoder
  rows = posemb.sincos_2d(decoder.size.width, decoder.grid, prefix=1)
  theirs, ours = "decoder_blocks.{i}", "decoder/blocks/layers"
  cross, within = f"{theirs}.multihead_attn", f"{theirs}.self_attn"
  apart = lambda leaf: tuple(f"{ours}/cross/{n}/{leaf}" for n in "qkv")
  kernel, bias = f"{ours}/attn/qkv/kernel", f"{ours}/attn/qkv/bias"
  return [
    *pieces.encoder(method.encoder, "encoder/"),
    table.Rule(theirs="mask_token", ours="decoder/mask_token"),
    table.Constant(theirs="decoder_pos_embed", value=rows[None]),
    *pieces.dense("decoder_embed", "decoder/embed"),
    table.Rule(
      theirs=f"{cross}.in_proj_weight", ours=apart("kernel"), op=ops.LINEAR
    ),
    table.Rule(theirs=f"{cross}.in_proj_bias", ours=apart("bias")),
    *pieces.dense(f"{cross}.out_proj", f"{ours}/cross/proj"),
    table.Rule(theirs=f"{within}.in_proj_weight", ours=kernel, op=ops.LINEAR),
    table.Rule(theirs=f"{within}.in_proj_bias", ours=bias),
    *pieces.dense(f"{within}.out_proj", f"{ours}/attn/proj"),
    *pieces.mlp(theirs, f"{ours}/mlp", ("linear1", "linear2")),
    *pieces.norm(f"{theirs}.norm1", f"{ours}/norm1"),
    *pieces.norm(f"{theirs}.norm2", f"{ours}/norm2"),
    *pieces.norm(f"{theirs}.norm3", f"{ours}/norm3"),
    *pieces.norm("decoder_norm", "decoder/norm"),
    *pieces.dense("decoder_pred", "decoder/pred"),
  ]


FAMILIES = {
  "cropmae": family.Family(
    library="authors", methods=("mim.cropmae",), table=family.main(full)
  )
}
