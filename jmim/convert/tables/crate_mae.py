"""Weights of the authors' CRATE-MAE (Ma-Lab-Berkeley/CRATE, model/crate_ae)."""

from jmim.convert import family
from jmim.convert import ops
from jmim.convert import pieces
from jmim.convert import table
from jmim.methods.mim import crate_mae
from jmim.nn import posemb


def attention(theirs: str, ours: str, heads: int) -> pieces.Table:
  """MSSA; one head alone has no output projection."""
  rules = pieces.dense(f"{theirs}.qkv", f"{ours}/qkv", bias=False)
  return rules + (
    pieces.dense(f"{theirs}.to_out.0", f"{ours}/proj") if heads > 1 else []
  )


def full(method: crate_mae.CrateMAE) -> pieces.Table:
  """Encoder and decoder.

  In a layer of the encoder attention comes first there, in one of the decoder
  second.
  """
  net, width = method.encoder, method.layers.width
  rows = posemb.sincos_2d(width, net.grid, net.order, prefix=1)
  heads = method.layers.heads
  decoder_heads = method.decoder_dims.heads or heads
  first, second = "blocks.{i}.layers.0.0", "blocks.{i}.layers.0.1"
  encoder, decoder = "encoder/blocks/layers", "decoder/blocks/layers"
  conv = ops.patch_conv(net.patch)
  return [
    *pieces.dense("patch_embed.proj", "encoder/patch_embed/proj", op=conv),
    table.Rule(theirs="cls_token", ours="encoder/cls_token"),
    table.Rule(theirs="mask_token", ours="encoder/mask_token"),
    table.Constant(theirs="decoder_pos_embed", value=rows[None]),
    *pieces.norm(f"{first}.norm", f"{encoder}/norm1"),
    *attention(f"{first}.fn", f"{encoder}/attn", heads),
    *pieces.norm(f"{second}.norm", f"{encoder}/norm2"),
    *pieces.dense(f"{second}.fn", f"{encoder}/ista", bias=False),
    *pieces.norm("norm", "encoder/norm"),
    *pieces.norm(f"decoder_{first}.norm", f"{decoder}/norm1"),
    *pieces.dense(f"decoder_{first}.fn", f"{decoder}/linear", bias=False),
    *pieces.norm(f"decoder_{second}.norm", f"{decoder}/norm2"),
    *attention(f"decoder_{second}.fn", f"{decoder}/attn", decoder_heads),
    *pieces.norm("decoder_norm", "decoder/norm"),
    *pieces.dense("decoder_pred", "decoder/pred"),
  ]


def _plain(method: crate_mae.CrateMAE) -> str | None:
  return None if method.blocks.measures else "blocks of a ViT, which it lacks"


FAMILIES = {
  "crate_mae": family.Family(
    library="authors",
    methods=("mim.crate_mae",),
    table=family.main(full),
    # What their constructor makes and their forward pass does not read.
    ignored=(r"^pos_embed$", r"^decoder_embed\."),
    optional=family.DECODER,
    check=_plain,
  )
}
