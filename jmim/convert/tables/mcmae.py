"""Weights of the authors' MCMAE (Alpha-VL/ConvMAE), pre-trained and fine-tuned.

Any size, if `dims` has its widths. The heads and maps that mimic teachers have
no place there: no code or weights of them were released.
"""

from jmim.convert import family
from jmim.convert import ops
from jmim.convert import pieces
from jmim.convert import table
from jmim.methods.distill import mr_mae
from jmim.methods.supervised import mcmae as classifiers
from jmim.nn import posemb
from jmim.nn import sizes
from jmim.nn.nets import mcmae


def conv_block(theirs: str, ours: str) -> pieces.Table:
  """A masked convolution block, whose depth-wise layer is "attn" there."""
  return [
    *pieces.norm(f"{theirs}.norm1", f"{ours}/norm1"),
    *pieces.dense(f"{theirs}.conv1", f"{ours}/conv1", op=ops.POINT),
    *pieces.dense(f"{theirs}.attn", f"{ours}/depthwise", op=ops.CONV),
    *pieces.dense(f"{theirs}.conv2", f"{ours}/conv2", op=ops.POINT),
    *pieces.norm(f"{theirs}.norm2", f"{ours}/norm2"),
    *pieces.dense(f"{theirs}.mlp.fc1", f"{ours}/fc1", op=ops.POINT),
    *pieces.dense(f"{theirs}.mlp.fc2", f"{ours}/fc2", op=ops.POINT),
  ]


def encoder(model: mcmae.MCMAE, prefix: str = "") -> pieces.Table:
  """The encoder; fixed positions are checked, learned ones a parameter.

  Args:
    model: the MCMAE.
    prefix: of our names, with its slash ("encoder/").
  """
  strides, rules = model.size.strides, []
  embeds = (f"{prefix}stage1/", f"{prefix}stage2/", prefix)
  for i, (stride, ours) in enumerate(zip(strides, embeds, strict=True), 1):
    theirs, ours = f"patch_embed{i}", f"{ours}patch_embed"
    conv = ops.patch_conv(stride)
    rules += pieces.dense(f"{theirs}.proj", f"{ours}/proj", op=conv)
    rules += pieces.norm(f"{theirs}.norm", f"{ours}/norm")
  rules += pieces.dense("patch_embed4", f"{prefix}patch_embed/linear")
  for i in (1, 2):
    ours = f"{prefix}stage{i}/blocks/layers"
    rules += conv_block(f"blocks{i}.{{i}}", ours)
  rules += pieces.block("blocks3.{i}", f"{prefix}blocks/layers")
  if model.positions == "learned":
    rules.append(table.Rule(theirs="pos_embed", ours=f"{prefix}pos_embed"))
  else:
    rows = posemb.sincos_2d(model.size.width, model.grid)
    rules.append(table.Constant(theirs="pos_embed", value=rows[None]))
  if model.shortcuts:
    for i, cells in ((1, strides[1] * strides[2]), (2, strides[2])):
      theirs, ours = f"stage{i}_output_decode", f"{prefix}shortcut{i}"
      rules += pieces.dense(theirs, ours, op=ops.patch_conv(cells))
  if model.final_norm:
    rules += pieces.norm("norm", f"{prefix}norm")
  return rules


def full(method: mr_mae.MRMAE) -> pieces.Table:
  """Encoder and decoder of pre-training."""
  decoder = method.decoder
  rows = posemb.sincos_2d(decoder.size.width, decoder.grid, decoder.order)
  return [
    *encoder(method.encoder, "encoder/"),
    table.Rule(theirs="mask_token", ours="decoder/mask_token"),
    table.Constant(
      theirs="decoder_pos_embed", value=rows[None], ours="decoder/pos_embed"
    ),
    *pieces.dense("decoder_embed", "decoder/embed"),
    *pieces.block("decoder_blocks.{i}", "decoder/blocks/layers"),
    *pieces.norm("decoder_norm", "decoder/norm"),
    *pieces.dense("decoder_pred", "decoder/pred"),
  ]


def classifier(method: classifiers.MCMAE) -> pieces.Table:
  """A fine-tuned classifier with mean pooling."""
  return [
    *encoder(method.encoder, "encoder/"),
    *pieces.norm("fc_norm", "head/fc_norm"),
    *pieces.dense("head", "head/head"),
  ]


def objection(method: mr_mae.MRMAE) -> str | None:
  """What a plain ViT is told."""
  if isinstance(method.dims, sizes.Dims):
    return "dims.type='vit', which is 'mcmae' there"
  return None


FAMILIES = {
  "mcmae": family.Family(
    library="authors",
    methods=("distill.mr_mae",),
    table=family.main(full),
    optional=family.DECODER,
    unsupported=(f"^{family.MAIN}(heads|fusion)/",),
    ignored=("^(head|fc_norm)\\.",),
    check=objection,
  ),
  "mcmae_finetuned": family.Family(
    library="authors",
    methods=("supervised.mcmae",),
    table=family.main(classifier),
    optional=family.HEAD,
  ),
}
