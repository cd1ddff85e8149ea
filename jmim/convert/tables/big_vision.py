"""Weights of google-research's big_vision and vision_transformer (flax)."""

from jmim.convert import family
from jmim.convert import ops
from jmim.convert import pieces
from jmim.convert import table
from jmim.convert.tables import _backbone
from jmim.methods.supervised import backbone

DENSE, NORM = ("kernel", "bias"), ("scale", "bias")


def full(method: backbone.Backbone) -> pieces.Table:
  """Pool "tok" or "gap"; the names of an .npz."""
  net, same = method.encoder, pieces.same
  theirs, ours = "Transformer/encoderblock_{i}", _backbone.BLOCKS
  attention = f"{theirs}/MultiHeadDotProductAttention_0"
  patches, conv = "encoder/patch_embed/proj", ops.flax_patch_conv(net.patch)
  rules = [
    table.Rule(theirs="embedding/kernel", ours=f"{patches}/kernel", op=conv),
    table.Rule(theirs="embedding/bias", ours=f"{patches}/bias"),
    table.Rule(theirs="pos_embedding", ours="encoder/pos_embed"),
    *same(f"{theirs}/LayerNorm_0", f"{ours}/norm1", *NORM),
    *pieces.flax_attention(attention, f"{ours}/attn", net.size.heads),
    *same(f"{theirs}/LayerNorm_1", f"{ours}/norm2", *NORM),
    *same(f"{theirs}/MlpBlock_0/Dense_0", f"{ours}/mlp/fc1", *DENSE),
    *same(f"{theirs}/MlpBlock_0/Dense_1", f"{ours}/mlp/fc2", *DENSE),
    *same("Transformer/encoder_norm", "encoder/norm", *NORM),
    *same("head", "head/out", *DENSE),
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
    optional=_backbone.HEADS,
    aliases=(
      ("^Transformer/posembed_input/pos_embedding$", "pos_embedding"),
      ("MultiHeadDotProductAttention_1/", "MultiHeadDotProductAttention_0/"),
      ("/LayerNorm_2/", "/LayerNorm_1/"),
      ("/MlpBlock_3/", "/MlpBlock_0/"),
    ),
    ignored=("^pre_logits/",),
    fixed=_backbone.PLAIN | dict(registers=0, layer_scale=0.0, qkv_bias=True),
    check=objection,
  )
}
