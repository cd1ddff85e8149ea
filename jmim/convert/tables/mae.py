"""Weights of the authors' MAE (facebookresearch/mae)."""

from jmim.convert import family
from jmim.convert import pieces
from jmim.convert import table
from jmim.methods.mim import mae
from jmim.methods.supervised import finetune
from jmim.nn import posemb


def full(method: mae.MAE) -> pieces.Table:
  """Encoder and decoder, as in the authors' `*_full` files."""
  decoder = method.decoder
  rows = posemb.sincos_2d(
    decoder.size.width, decoder.grid, decoder.order, prefix=1
  )
  return [
    *pieces.encoder(method.encoder, "encoder/"),
    table.Rule(theirs="mask_token", ours="decoder/mask_token"),
    table.Constant(
      theirs="decoder_pos_embed", value=rows[None], ours="decoder/pos_embed"
    ),
    *pieces.dense("decoder_embed", "decoder/embed"),
    *pieces.block("decoder_blocks.{i}", "decoder/blocks/layers"),
    *pieces.norm("decoder_norm", "decoder/norm"),
    *pieces.dense("decoder_pred", "decoder/pred"),
  ]


def classifier(method: finetune.Finetune) -> pieces.Table:
  """A fine-tuned classifier with mean pooling."""
  return [
    *pieces.encoder(method.encoder, "encoder/"),
    *pieces.norm("fc_norm", "head/fc_norm"),
    *pieces.dense("head", "head/head"),
  ]


FAMILIES = {
  "mae": family.Family(
    library="authors",
    methods=("mim.mae", "mim.colormae"),
    table=family.main(full),
    optional=family.DECODER,
    ignored=("^(head|fc_norm)\\.",),
  ),
  "mae_finetuned": family.Family(
    library="authors",
    methods=("supervised.finetune",),
    table=family.main(classifier),
  ),
}
