"""The options of timm's VisionTransformer, as its config.json has them."""

import re
from collections.abc import Callable
from collections.abc import Mapping
from typing import Any

from jmim.convert.tables import configs
from jmim.core import errors
from jmim.nn import sizes

SIZES = {"tiny": "Ti", "small": "S", "base": "B", "large": "L", "huge": "H"}

POOL = {"cls": "token", "mean": "avg"}


def arguments(
  config: Mapping[str, Any],
  pattern: str,
  shown: str,
  defaults: Callable[[re.Match], dict[str, Any]],
) -> dict[str, Any]:
  """What a network of timm is made with: its name says it, or `model_args`.

  Args:
    config: config.json, with `architecture`.
    pattern: regex of the names known here; a ".tag" may follow.
    shown: the same for people.
    defaults: match of a name -> all arguments.

  Raises:
    UserError: another name, or an argument that is not known here.
  """
  name = config.get("architecture", "")
  found = re.fullmatch(rf"{pattern}(\..*)?", name)
  if not found:
    raise errors.UserError(
      f"config.json: architecture={name!r}",
      shown,
      "use --from with --config",
      "--weights",
    )
  args, given = defaults(found), config.get("model_args") or {}
  given = {k: v for k, v in given.items() if v is not None}  # as timm does
  unknown = {k: v for k, v in given.items() if k not in args}
  configs.refuse(unknown, **dict.fromkeys(unknown))
  return args | given


def _defaults(found: re.Match) -> dict[str, Any]:
  """The arguments of "vit_base_patch16_224" and its kin."""
  size = sizes.SIZES[SIZES[found[1]]]
  return dict(
    img_size=int(found[3]),
    patch_size=int(found[2]),
    in_chans=3,
    embed_dim=size.width,
    depth=size.depth,
    num_heads=size.heads,
    mlp_ratio=size.mlp_ratio,
    qkv_bias=True,
    init_values=None,
    class_token=True,
    pre_norm=False,
    global_pool="token",
    fc_norm=None,
    act_layer="gelu",
  )


def read(config: Mapping[str, Any]) -> dict[str, Any]:
  """timm's config.json: `architecture`, and `model_args` where it has them."""
  args = arguments(
    config,
    rf"vit_({'|'.join(SIZES)})_patch(\d+)_(\d+)",
    f"vit_<{'|'.join(SIZES)}>_patch<p>_<size>",
    _defaults,
  )
  mean = args["global_pool"] == "avg"
  normed = mean if args["fc_norm"] is None else args["fc_norm"]
  return dict(
    variant=f"B/{args['patch_size']}",
    size=args["img_size"],
    channels=args["in_chans"],
    width=args["embed_dim"],
    depth=args["depth"],
    heads=args["num_heads"],
    mlp_ratio=float(args["mlp_ratio"]),
    classes=max(2, config.get("num_classes", 1000)),
    qkv_bias=args["qkv_bias"],
    layer_scale=args["init_values"] or 0.0,
    cls=args["class_token"],
    pre_norm=args["pre_norm"],
    patch_bias=not args["pre_norm"],
    act=configs.ACTS[args["act_layer"]],
    pool="mean" if mean else "cls",
    head_norm=normed,
    final_norm=not normed,
  )


def write(method: Any) -> dict[str, Any]:
  """The inverse of `read`; of MAE: the encoder without a classifier."""
  encoder = method.encoder
  size, style = encoder.size, dict(encoder.style)
  classes = getattr(method, "classes", 0)
  args = dict(
    img_size=method.size,
    patch_size=encoder.patch,
    in_chans=method.channels,
    embed_dim=size.width,
    depth=size.depth,
    num_heads=size.heads,
    mlp_ratio=size.mlp_ratio,
    qkv_bias=style.get("qkv_bias", True),
    init_values=encoder.layer_scale or None,
    class_token=encoder.cls,
    pre_norm=encoder.pre_norm,
    act_layer=style.get("act", "gelu"),
    global_pool=POOL[getattr(method, "pool", "cls")],
    fc_norm=getattr(method, "head_norm", False),
  )
  return dict(
    architecture="vit_base_patch16_224",
    num_classes=classes,
    num_features=size.width,
    model_args=args,
  )
