"""Weights of the authors' I-JEPA (facebookresearch/ijepa)."""

from jmim.convert import family
from jmim.convert import pieces
from jmim.convert import table
from jmim.methods.mim import ijepa
from jmim.nn import posemb


def encoder(method: ijepa.IJEPA, prefix: str = "") -> pieces.Table:
  """Context or target encoder; our names below `prefix`."""
  return pieces.encoder(method.encoder, prefix)


def predictor(method: ijepa.IJEPA) -> pieces.Table:
  """Their names without "predictor."; ours below "predictor/"."""
  p = method.predictor
  rows = posemb.sincos_2d(p.size.width, p.grid)
  return [
    table.Rule(theirs="mask_token", ours="predictor/mask_token"),
    table.Constant(theirs="predictor_pos_embed", value=rows[None]),
    *pieces.dense("predictor_embed", "predictor/embed"),
    *pieces.block("predictor_blocks.{i}", "predictor/blocks/layers"),
    *pieces.norm("predictor_norm", "predictor/norm"),
    *pieces.dense("predictor_proj", "predictor/proj"),
  ]


def full(method: ijepa.IJEPA) -> pieces.Table:
  """Context encoder, predictor, and the momentum encoder in `extra`."""
  names = encoder(method)
  return [
    *table.placed(names, "encoder.", f"{family.MAIN}encoder/"),
    *table.placed(predictor(method), "predictor.", family.MAIN),
    *table.placed(names, "target_encoder.", "extra/target/"),
  ]


FAMILIES = {
  "ijepa": family.Family(
    library="authors",
    methods=("mim.ijepa",),
    table=full,
    containers=("",),
    aliases=((r"^((?:target_)?encoder|predictor)\.module\.", r"\1."),),
    ignored=("^(opt|scaler)\\.",),
  )
}
