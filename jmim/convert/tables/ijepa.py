"""Weights of the authors' I-JEPA (facebookresearch/ijepa)."""

from jmim.convert import table
from jmim.convert.tables import mae
from jmim.methods.mim import ijepa
from jmim.nn import posemb

Table = list[table.Rule | table.Constant]


def encoder(method: ijepa.IJEPA, prefix: str = "") -> Table:
  """Context or target encoder; our names below `prefix`."""
  return mae.encoder(method.encoder, method.channels, prefix)


def predictor(method: ijepa.IJEPA) -> Table:
  """Their names without "predictor."; ours below "predictor/"."""
  p = method.predictor
  rows = posemb.sincos_2d(p.size.width, p.grid)
  return [
    table.Rule(theirs="mask_token", ours="predictor/mask_token"),
    table.Constant(theirs="predictor_pos_embed", value=rows[None]),
    *mae.dense("predictor_embed", "predictor/embed"),
    *mae.blocks("predictor_blocks", "predictor/blocks"),
    *mae.norm("predictor_norm", "predictor/norm"),
    *mae.dense("predictor_proj", "predictor/proj"),
  ]
