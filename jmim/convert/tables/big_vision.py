"""Weights of google-research's big_vision and vision_transformer (flax)."""

from jmim.convert import family
from jmim.convert import ops
from jmim.convert import pieces
from jmim.convert import table
from jmim.convert.tables import _backbone
from jmim.methods.supervised import backbone


def full(method: backbone.Backbone) -> pieces.Table:
  """Pool "tok" or "gap"; the names of an .npz."""
  net, block = method.encoder, "Transformer/encoderblock_{i}"
  patches, conv = "encoder/patch_embed/proj", ops.flax_patch_conv(net.patch)
  rules = [
    table.Rule(theirs="embedding/kernel", ours=f"{patches}/kernel", op=conv),
    table.Rule(theirs="embedding/bias", ours=f"{patches}/bias"),
    table.Rule(theirs="pos_embedding", ours="encoder/pos_embed"),
    *pieces.flax_block(block, _backbone.BLOCKS, net.size.heads),
    *pieces.same("Transformer/encoder_norm", "encoder/norm", *pieces.NORM),
    *pieces.same("head", "head/out", *pieces.DENSE),
  ]
  if net.cls:
    rules.append(table.Rule(theirs="cls", ours="encoder/cls_token"))
  return rules


def objection(method: backbone.Backbone) -> str | None:
  """What a ViT of big_vision cannot be, besides `fixed`."""
  if method.pool not in ("cls", "mean"):
    return "pool is 'cls' or 'mean' there"
  return _backbone.ungated(method)


FAMILIES = {
  "big_vision": family.Family(
    library="big_vision",
    methods=_backbone.METHODS,
    table=family.main(full),
    containers=("params/img/", "params/", ""),
    optional=family.HEAD,
    aliases=(
      ("^Transformer/posembed_input/pos_embedding$", "pos_embedding"),
      ("MultiHeadDotProductAttention_1/", "MultiHeadDotProductAttention_0/"),
      ("/LayerNorm_2/", "/LayerNorm_1/"),
      ("/MlpBlock_3/", "/MlpBlock_0/"),
    ),
    ignored=("^pre_logits/",),
    fixed=_backbone.PLAIN | dict(registers=0, layer_scale=0.0, qkv_bias=True),
    check=objection,
    file="model.npz",
  )
}
