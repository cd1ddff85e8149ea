"""Swin as its authors and timm have it, and timm's options of it."""

import re
from collections.abc import Mapping
from typing import Any

from jmim.convert import table
from jmim.convert.tables import configs
from jmim.convert.tables import mae
from jmim.convert.tables import timm as timms
from jmim.methods.mim import simmim
from jmim.methods.supervised import swin as classifiers
from jmim.nn.nets import swin as nets

Table = list[table.Rule | table.Constant]
Method = simmim.SimMIM | classifiers.Swin
SIZES = {"tiny": "SwinT", "small": "SwinS", "base": "SwinB", "large": "SwinL"}


def authors(method: Method, late: int = 0) -> Table:
  """The backbone in the names of microsoft/Swin-Transformer.

  Args:
    method: whose `encoder` is the Swin; our names are without "encoder/".
    late: 1: the merging before a stage is counted with it (timm), 0: with the
      stage it follows.
  """
  net = method.encoder
  proj, conv = "patch_embed/proj", table.patch_conv(method.channels)
  rules: Table = [
    table.Rule(
      theirs="patch_embed.proj.weight", ours=f"{proj}/kernel", op=conv
    ),
    table.Rule(theirs="patch_embed.proj.bias", ours=f"{proj}/bias"),
    *mae.norm("norm", "norm"),
  ]
  if net.patch_norm:
    rules += mae.norm("patch_embed.norm", "patch_norm")
  if net.positions == "learned":
    rules.append(table.Rule(theirs="absolute_pos_embed", ours="pos_embed"))
  stages = len(net.size.depths)
  for s in range(stages):
    rules += _blocks(net, f"layers.{s}.blocks", f"stage{s}")
    if s + 1 < stages:
      down, name = f"layers.{s + late}.downsample", f"merge{s}/reduction/kernel"
      rules += mae.norm(f"{down}.norm", f"merge{s}/norm")
      rules.append(
        table.Rule(
          theirs=f"{down}.reduction.weight", ours=name, op=table.LINEAR
        )
      )
  return rules


def _blocks(net: nets.Swin, theirs: str, ours: str) -> Table:
  """The blocks of a stage."""
  name = "attn.relative_position_bias_table"
  own = f"{ours}/layers/block"
  rules = [
    table.Rule(
      theirs=r.theirs,
      ours=r.ours.replace("/layers/", "/layers/block/"),
      op=r.op,
    )
    for r in mae.blocks(theirs, ours)
    if net.qkv_bias or not r.theirs.endswith("qkv.bias")
  ]
  return [
    *rules,
    table.Rule(theirs=f"{theirs}.{{i}}.{name}", ours=f"{own}/relative/table"),
  ]


def classifier(method: Method) -> Table:
  """The authors' classifier."""
  rules = table.placed(authors(method), "", "encoder/")
  return rules + mae.dense("head", "head/out")


def timm(method: Method) -> Table:
  """timm's SwinTransformer; of SimMIM: without a classifier."""
  rules = table.placed(authors(method, late=1), "", "encoder/")
  if isinstance(method, simmim.SimMIM):
    return rules
  return rules + mae.dense("head.fc", "head/out")


def objection(method: Method) -> str | None:
  """What a Swin of timm cannot be."""
  net = method.encoder
  if not isinstance(net, nets.Swin):
    return "the backbone is a ViT"
  if not net.patch_norm or net.positions != "none":
    return "it has patch_norm and no absolute positions there"
  return None


def _defaults(found: re.Match) -> dict[str, Any]:
  """The arguments of "swin_base_patch4_window7_224" and its kin."""
  size = nets.SIZES[SIZES[found[1]]]
  return dict(
    img_size=int(found[4]),
    patch_size=int(found[2]),
    in_chans=3,
    embed_dim=size.width,
    depths=size.depths,
    num_heads=size.heads,
    window_size=int(found[3]),
    mlp_ratio=size.mlp_ratio,
    qkv_bias=True,
    global_pool="avg",
  )


def read_timm(config: Mapping[str, Any]) -> dict[str, Any]:
  """timm's config.json of a Swin: `supervised.swin`."""
  args = timms.arguments(
    config,
    rf"swin_({'|'.join(SIZES)})_patch(\d+)_window(\d+)_(\d+)",
    f"swin_<{'|'.join(SIZES)}>_patch<p>_window<w>_<size>",
    _defaults,
  )
  configs.refuse(args, global_pool="avg")
  return dict(
    variant=f"SwinT/{args['patch_size']}",
    size=args["img_size"],
    channels=args["in_chans"],
    width=args["embed_dim"],
    depths=tuple(args["depths"]),
    heads=tuple(args["num_heads"]),
    window=args["window_size"],
    mlp_ratio=float(args["mlp_ratio"]),
    qkv_bias=args["qkv_bias"],
    classes=max(2, config.get("num_classes", 1000)),
  )


def write_timm(method: Method) -> dict[str, Any]:
  """The inverse of `read_timm`; of SimMIM: without a classifier."""
  net = method.encoder
  size = net.size
  args = dict(
    img_size=method.size,
    patch_size=net.patch,
    in_chans=method.channels,
    embed_dim=size.width,
    depths=list(size.depths),
    num_heads=list(size.heads),
    window_size=size.window,
    mlp_ratio=size.mlp_ratio,
    qkv_bias=net.qkv_bias,
  )
  return dict(
    architecture="swin_base_patch4_window7_224",
    num_classes=getattr(method, "classes", 0),
    num_features=size.width * 2 ** (len(size.depths) - 1),
    model_args=args,
    classifier="head.fc",
  )
