"""Swin as timm has it: weights and options."""

import re
from collections.abc import Mapping
from typing import Any

from jmim.convert import family
from jmim.convert import options
from jmim.convert import pieces
from jmim.convert import table
from jmim.convert.tables import swin
from jmim.methods.mim import simmim
from jmim.methods.supervised import swin as classifiers
from jmim.nn.nets import swin as nets

Method = simmim.SimMIM | classifiers.Swin
SIZES = {"tiny": "SwinT", "small": "SwinS", "base": "SwinB", "large": "SwinL"}


def full(method: Method) -> pieces.Table:
  """timm's SwinTransformer; of SimMIM: without a classifier."""
  rules = table.placed(swin.backbone(method.encoder, late=1), "", "encoder/")
  if isinstance(method, simmim.SimMIM):
    return rules
  return rules + pieces.dense("head.fc", "head/out")


def _defaults(match: re.Match) -> dict[str, Any]:
  """The arguments of names such as "swin_base_patch4_window7_224"."""
  size = nets.SIZES[SIZES[match[1]]]
  return dict(
    img_size=int(match[4]),
    patch_size=int(match[2]),
    in_chans=3,
    embed_dim=size.width,
    depths=size.depths,
    num_heads=size.heads,
    window_size=int(match[3]),
    mlp_ratio=size.mlp_ratio,
    qkv_bias=True,
    global_pool="avg",
  )


def read(config: Mapping[str, Any]) -> dict[str, Any]:
  """timm's config.json of a Swin: `supervised.swin`."""
  args = options.timm_arguments(
    config,
    rf"swin_({'|'.join(SIZES)})_patch(\d+)_window(\d+)_(\d+)",
    f"swin_<{'|'.join(SIZES)}>_patch<p>_window<w>_<size>",
    _defaults,
  )
  options.refuse(args, global_pool="avg")
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
    classes=options.timm_classes(config),
  )


def write(method: Method) -> dict[str, Any]:
  """The inverse of `read`; of SimMIM: without a classifier."""
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


FAMILIES = {
  "timm_swin": family.Family(
    library="timm",
    methods=("supervised.swin", "mim.simmim"),
    table=family.main(full),
    ignored=swin.COMPUTED,
    optional=("^params/main/head/out/",),
    unsupported=(
      "^params/main/head/(kernel|bias)$",
      "^params/main/encoder/mask_token$",
    ),
    check=swin.plain,
    read_config=read,
    write_config=write,
    timm_names=("swin",),
  )
}
