"""timm's VisionTransformer: weights and options; MAE's encoder is one too."""

import re
from collections.abc import Mapping
from typing import Any

from jmim.convert import family
from jmim.convert import options
from jmim.convert import pieces
from jmim.convert.tables import _backbone
from jmim.methods.mim import mae
from jmim.methods.supervised import backbone

SIZES = {"tiny": "Ti", "small": "S", "base": "B", "large": "L", "huge": "H"}
POOL = {"cls": "token", "mean": "avg"}


def classifier(method: backbone.Backbone) -> pieces.Table:
  """The whole of it; our `head_norm` is its "fc_norm"."""
  rules = pieces.encoder(method.encoder, "encoder/")
  if method.head_norm:
    rules += pieces.norm("fc_norm", "head/norm")
  return rules + _backbone.head("head", method.head_bias)


def encoder(method: mae.MAE) -> pieces.Table:
  """Without a classifier."""
  return pieces.encoder(method.encoder, "encoder/")


def objection(method: backbone.Backbone) -> str | None:
  """What a config.json cannot say of timm's VisionTransformer."""
  if method.act == "swiglu":
    return "act='swiglu'; --format=authors writes DINOv2's"
  if method.pool == "cls_mean":
    return "pool='cls_mean', which is 'cls' or 'mean' there"
  if method.patch_bias == method.pre_norm:
    return "patch_bias must be the opposite of pre_norm there"
  if method.final_norm == method.head_norm:
    return "one norm, final_norm or head_norm, is there"
  return None


def _defaults(match: re.Match) -> dict[str, Any]:
  """The arguments of names such as "vit_base_patch16_224"."""
  return options.timm_sizes(match, SIZES) | dict(
    init_values=None,
    class_token=True,
    pre_norm=False,
    global_pool="token",
    fc_norm=None,
    act_layer="gelu",
  )


def read(config: Mapping[str, Any]) -> dict[str, Any]:
  """timm's config.json: `architecture`, and `model_args` where it has them."""
  args = options.timm_arguments(
    config,
    rf"vit_({'|'.join(SIZES)})_patch(\d+)_(\d+)",
    f"vit_<{'|'.join(SIZES)}>_patch<p>_<size>",
    _defaults,
  )
  mean = args["global_pool"] == "avg"
  normed = mean if args["fc_norm"] is None else args["fc_norm"]
  return dict(
    **options.timm_dims(args),
    classes=options.timm_classes(config),
    layer_scale=args["init_values"] or 0.0,
    cls=args["class_token"],
    pre_norm=args["pre_norm"],
    patch_bias=not args["pre_norm"],
    act=options.ACTS[args["act_layer"]],
    pool="mean" if mean else "cls",
    head_norm=normed,
    final_norm=not normed,
  )


def write(method: backbone.Backbone | mae.MAE) -> dict[str, Any]:
  """The inverse of `read`; of MAE: the encoder without a classifier."""
  net = method.encoder
  style = dict(net.style)
  args = options.write_timm(method) | dict(
    qkv_bias=style.get("qkv_bias", True),
    init_values=net.layer_scale or None,
    class_token=net.cls,
    pre_norm=net.pre_norm,
    act_layer=style.get("act", "gelu"),
    global_pool=POOL[getattr(method, "pool", "cls")],
    fc_norm=getattr(method, "head_norm", False),
  )
  return dict(
    architecture="vit_base_patch16_224",
    num_classes=getattr(method, "classes", 0),
    num_features=args["embed_dim"],
    model_args=args,
  )


FAMILIES = {
  "timm_vit": family.Family(
    library="timm",
    methods=_backbone.METHODS,
    table=family.main(classifier),
    optional=family.HEAD,
    fixed=dict(
      positions="learned",
      registers=0,
      head_bias=True,
      eps=1e-6,
      key_bias=True,
      relative="none",
    ),
    check=objection,
    read_config=read,
    write_config=write,
    timm_names=("vit",),
  ),
  "timm_mae": family.Family(
    library="timm",
    methods=("mim.mae", "mim.colormae"),
    table=family.main(encoder),
    optional=family.DECODER,
    unsupported=family.DECODER,
    ignored=("^(head|fc_norm)\\.",),
    fixed=dict(height=0),
    write_config=write,
  ),
}
