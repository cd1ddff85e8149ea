"""Weights of the authors' SimMIM (microsoft/SimMIM), ViT and Swin."""

from jmim.convert import family
from jmim.convert import ops
from jmim.convert import pieces
from jmim.convert import table
from jmim.convert.tables import swin as swins
from jmim.methods.mim import simmim
from jmim.nn.nets import swin


def full(method: simmim.SimMIM) -> pieces.Table:
  """Backbone and head."""
  model, ours = method.encoder, "encoder/"
  if isinstance(model, swin.Swin):
    backbone = table.placed(swins.backbone(model), "", ours)
  else:
    backbone = pieces.beit_encoder(model, ours)
  kernel, bias = ops.pixel_shuffle(model.stride)
  return [
    *table.placed(backbone, "encoder.", ""),
    table.Rule(theirs="encoder.mask_token", ours="encoder/mask_token"),
    table.Rule(theirs="decoder.0.weight", ours="head/kernel", op=kernel),
    table.Rule(theirs="decoder.0.bias", ours="head/bias", op=bias),
  ]


FAMILIES = {
  "simmim": family.Family(
    library="authors",
    methods=("mim.simmim",),
    table=family.main(full),
    ignored=("relative_position_index$", "attn_mask$"),
  )
}
