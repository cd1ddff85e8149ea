"""Weights of the authors' Swin (microsoft/Swin-Transformer)."""

from typing import Any

from jmim.convert import family
from jmim.convert import ops
from jmim.convert import pieces
from jmim.convert import table
from jmim.methods.supervised import swin as classifiers
from jmim.nn.nets import swin

# Fixed tables that a model computes.
COMPUTED = (r"relative_position_index$", r"attn_mask$")


def backbone(model: swin.Swin, late: int = 0) -> pieces.Table:
  """The Swin alone; our names have no prefix.

  Args:
    model: the Swin.
    late: 1: the merging before a stage is counted with it (timm), 0: with the
      stage it follows.
  """
  rules = [
    *pieces.dense(
      "patch_embed.proj", "patch_embed/proj", op=ops.patch_conv(model.patch)
    ),
    *pieces.norm("norm", "norm"),
  ]
  if model.patch_norm:
    rules += pieces.norm("patch_embed.norm", "patch_norm")
  if model.positions == "learned":
    rules.append(table.Rule(theirs="absolute_pos_embed", ours="pos_embed"))
  stages = len(model.size.depths)
  for s in range(stages):
    theirs, ours = f"layers.{s}.blocks.{{i}}", f"stage{s}/layers/block"
    rules += pieces.block(theirs, ours, qkv_bias=model.qkv_bias)
    name = f"{theirs}.attn.relative_position_bias_table"
    rules.append(table.Rule(theirs=name, ours=f"{ours}/relative/table"))
    if s + 1 < stages:
      rules += merge(f"layers.{s + late}.downsample", f"merge{s}")
  return rules


def merge(theirs: str, ours: str) -> pieces.Table:
  """The merging of 2 x 2 tokens between two stages."""
  return [
    *pieces.norm(f"{theirs}.norm", f"{ours}/norm"),
    *pieces.dense(f"{theirs}.reduction", f"{ours}/reduction", bias=False),
  ]


def classifier(method: classifiers.Swin) -> pieces.Table:
  """The authors' classifier."""
  rules = table.placed(backbone(method.encoder), "", "encoder/")
  return rules + pieces.dense("head", "head/out")


def plain(method: Any) -> str | None:
  """What a Swin of timm or Transformers cannot be; None: it fits.

  Args:
    method: its `encoder` is the Swin, or a ViT.
  """
  net = method.encoder
  if not isinstance(net, swin.Swin):
    return "the backbone is a ViT"
  if not net.patch_norm or net.positions != "none":
    return "it has patch_norm and no absolute positions there"
  return None


FAMILIES = {
  "swin": family.Family(
    library="authors",
    methods=("supervised.swin",),
    table=family.main(classifier),
    ignored=COMPUTED,
    optional=family.HEAD,
  )
}
