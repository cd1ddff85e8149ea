"""Weights of the image tower of OpenAI's CLIP and of OpenCLIP."""

from jmim.convert import family
from jmim.convert import ops
from jmim.convert import pieces
from jmim.convert import table
from jmim.convert.tables import _backbone
from jmim.convert.tables import _torch
from jmim.convert.tables import hf_clip
from jmim.methods.supervised import backbone


def blocks(theirs: str, ours: str) -> pieces.Table:
  """The blocks of either tower."""
  return [
    *pieces.norm(f"{theirs}.ln_1", f"{ours}/norm1"),
    *_torch.attention(f"{theirs}.attn", f"{ours}/attn"),
    *pieces.norm(f"{theirs}.ln_2", f"{ours}/norm2"),
    *pieces.mlp(f"{theirs}.mlp", f"{ours}/mlp", ("c_fc", "c_proj")),
  ]


def tower(patch: int) -> pieces.Table:
  """The tower of images without its projection; our names have no prefix.

  Args:
    patch: side of a patch in pixels.
  """
  token, rows = "visual.class_embedding", "visual.positional_embedding"
  return [
    table.Rule(theirs=token, ours="cls_token", op=ops.VECTOR),
    table.Rule(theirs=rows, ours="pos_embed", op=ops.MATRIX),
    *pieces.dense(
      "visual.conv1",
      "patch_embed/proj",
      op=ops.patch_conv(patch),
      bias=False,
    ),
    *pieces.norm("visual.ln_pre", "norm_pre"),
    *blocks("visual.transformer.resblocks.{i}", "blocks/layers"),
    *pieces.norm("visual.ln_post", "norm"),
  ]


def full(method: backbone.Backbone) -> pieces.Table:
  """The tower and its projection, which is [in, out] as our kernels are."""
  rule = table.Rule(theirs="visual.proj", ours="head/out/kernel")
  images = tower(method.encoder.patch)
  return [*table.placed(images, "", "encoder/"), rule]


FAMILIES = {
  "open_clip": family.Family(
    library="authors",
    methods=_backbone.METHODS,
    table=family.main(full),
    containers=("state_dict.", "module.", ""),
    ignored=(
      r"^(transformer|token_embedding|ln_final|text)\b",
      "^(positional_embedding|text_projection|logit_scale|logit_bias)$",
      "^(input_resolution|context_length|vocab_size)$",
    ),
    fixed=hf_clip.FIXED,
    check=_backbone.ungated,
  )
}
