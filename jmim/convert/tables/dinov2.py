"""Weights of the authors' DINO and DINOv2, which have no classifier."""

from jmim.convert import family
from jmim.convert import pieces
from jmim.convert.tables import _backbone
from jmim.methods.supervised import backbone


def full(method: backbone.Backbone) -> pieces.Table:
  """timm's names; with a SwiGLU those of DINOv2 g."""
  return [
    *pieces.encoder(method.encoder, "encoder/"),
    *_backbone.registers("register_tokens", method),
  ]


def objection(method: backbone.Backbone) -> str | None:
  """What neither can be, besides `fixed`: DINO has no registers."""
  if method.registers and not method.layer_scale:
    return "registers without LayerScale"
  return None


FAMILIES = {
  "dinov2": family.Family(
    library="authors",
    methods=_backbone.METHODS,
    table=family.main(full),
    containers=(
      "teacher.backbone.",
      "teacher.module.backbone.",
      "state_dict.",
      "",
    ),
    ignored=("^mask_token$", "^head\\."),
    optional=family.HEAD,
    unsupported=family.HEAD,
    fixed=_backbone.PLAIN | {"cls": True},
    check=objection,
  )
}
