"""Weights of the authors' CropMAE (alexandre-eymael/CropMAE)."""

from jmim.convert import family
from jmim.convert import pieces
from jmim.convert import table
from jmim.convert.tables import _torch
from jmim.methods.mim import cropmae
from jmim.nn import posemb


def full(method: cropmae.CropMAE) -> pieces.Table:
  """Encoder and decoder; torch's attention has q, k and v as one matrix.

  In the decoder's cross-attention they are three layers here.
  """
  decoder = method.decoder
  rows = posemb.sincos_2d(decoder.size.width, decoder.grid, prefix=1)
  theirs, ours = "decoder_blocks.{i}", "decoder/blocks/layers"
  return [
    *pieces.encoder(method.encoder, "encoder/"),
    table.Rule(theirs="mask_token", ours="decoder/mask_token"),
    table.Constant(theirs="decoder_pos_embed", value=rows[None]),
    *pieces.dense("decoder_embed", "decoder/embed"),
    *_torch.cross_attention(f"{theirs}.multihead_attn", f"{ours}/cross"),
    *_torch.attention(f"{theirs}.self_attn", f"{ours}/attn"),
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
