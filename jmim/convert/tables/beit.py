"""Weights of BEiT's authors (microsoft/unilm), and what a BEiT can be.

For `supervised.backbone` with biases by relative position, and without a bias
on k.
"""

from typing import Any

from jmim.convert import family
from jmim.convert import options
from jmim.convert import pieces
from jmim.convert.tables import _backbone
from jmim.methods.supervised import backbone

FIXED = dict(
  cls=True,
  registers=0,
  pre_norm=False,
  patch_bias=True,
  head_bias=True,
  key_bias=False,
)


def full(method: backbone.Backbone) -> pieces.Table:
  """The classifier, with its tables of indices."""
  rules = pieces.beit_encoder(method.encoder, "encoder/")
  if method.head_norm:
    rules += pieces.norm("fc_norm", "head/norm")
  return rules + _backbone.head("head")


def objection(method: backbone.Backbone) -> str | None:
  """What no BEiT of any library can be, besides `FIXED`."""
  if method.positions not in ("learned", "none"):
    return f"positions={method.positions!r}, 'learned' or 'none' there"
  if method.act == "swiglu":
    return "act='swiglu'"
  mean = method.pool == "mean"
  norms = (method.head_norm, method.final_norm)
  if method.pool == "cls_mean" or norms != (mean, not mean):
    return "it pools 'cls' with final_norm or 'mean' with head_norm there"
  return None


def pooling(mean: bool) -> dict[str, Any]:
  """Fields of what the head reads: the mean of all tokens, or cls."""
  pool = "mean" if mean else "cls"
  return dict(pool=pool, head_norm=mean, final_norm=not mean)


def relative(block: bool, shared: bool) -> str:
  """The field `relative` of tables in every block, or of one for all.

  Raises:
    UserError: both.
  """
  key = "both relative position biases"
  options.refuse({key: block and shared}, **{key: False})
  return "block" if block else "shared" if shared else "none"


FAMILIES = {
  "beit": family.Family(
    library="authors",
    methods=_backbone.METHODS,
    table=family.main(full),
    optional=family.HEAD,
    ignored=(r"relative_position_index$", "^mask_token$", r"^lm_head\."),
    fixed=FIXED,
    check=objection,
  )
}
