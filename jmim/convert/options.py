"""Options of networks in the words of a library's config.json.

A table's `read` takes a library's config to the fields of our method, its
`write` back. Here is what several of them share. Whatever a library's network
can be and ours cannot is refused by name.
"""

import re
from collections.abc import Callable
from collections.abc import Mapping
from typing import Any

from jmim.core import errors
from jmim.nn import sizes

Config = Mapping[str, Any]
# Of `text.clip`: stands in for the tower of images where there is none.
NO_IMAGES = dict(
  size=32,
  channels=3,
  dims=dict(variant="Ti/32", width=64, depth=1, heads=1),
)
# Activations: Transformers' and timm's names -> ours, and back.
ACTS = {
  "gelu": "gelu",
  "gelu_new": "gelu_tanh",
  "gelu_pytorch_tanh": "gelu_tanh",
  "quick_gelu": "quick_gelu",
}
HF_ACTS = {"gelu": "gelu", "gelu_tanh": "gelu_new", "quick_gelu": "quick_gelu"}


def refuse(config: Config, **expected: Any) -> None:
  """Checks keys that may be absent, but not have another value.

  Raises:
    UserError: they have; all of them are named.
  """
  wrong = [
    f"{k}={config[k]!r} (here {v!r})"
    for k, v in expected.items()
    if k in config and config[k] != v
  ]
  if wrong:
    raise errors.UserError(
      f"config.json: {', '.join(wrong)}",
      "an architecture that is here",
      "use other weights",
      "--weights",
    )


def mlp_ratio(hidden: int, width: int) -> float:
  """The ratio whose product with the width is cut to `hidden`."""
  ratio = hidden / width
  return ratio if int(width * ratio) == hidden else (hidden + 0.5) / width


# Transformers.


def hf_dims(config: Config) -> dict[str, Any]:
  """Fields of `sizes.Dims` of a vision model of Transformers."""
  width = config["hidden_size"]
  hidden = config.get("intermediate_size", None)
  hidden = int(width * config["mlp_ratio"]) if hidden is None else hidden
  return dict(
    variant=f"B/{side(config, 'patch_size')}",
    width=width,
    depth=config["num_hidden_layers"],
    heads=config["num_attention_heads"],
    mlp_ratio=mlp_ratio(hidden, width),
  )


def side(config: Config, key: str) -> int:
  """A side in pixels or patches, written as a number or as two equal ones.

  Raises:
    UserError: two that differ.
    KeyError: there is none.
  """
  value = config[key]
  if not isinstance(value, list | tuple):
    return value
  if len(set(value)) != 1:
    refuse(config, **{key: [value[0]] * 2})
  return value[0]


def hf_image(config: Config) -> dict[str, Any]:
  """Side and channels of the images of a vision model of Transformers."""
  channels = config.get("num_channels", 3)
  return dict(size=side(config, "image_size"), channels=channels)


def hf_style(config: Config) -> dict[str, Any]:
  """Activation, and eps of the LayerNorms."""
  act = config.get("hidden_act", "gelu")
  if act not in ACTS:
    refuse(config, hidden_act="gelu")
  return dict(act=ACTS[act], eps=config["layer_norm_eps"])


def hf_classes(config: Config) -> int:
  """At least two: of a network without a classifier the head stays fresh."""
  return max(2, len(config.get("id2label") or (0, 1)))


def write_hf(method: Any, kind: str, name: str) -> dict[str, Any]:
  """The inverse of `hf_dims` and `hf_image`, for a model type and its class."""
  size = method.encoder.size
  return dict(
    model_type=kind,
    architectures=[name],
    hidden_size=size.width,
    num_hidden_layers=size.depth,
    num_attention_heads=size.heads,
    intermediate_size=int(size.width * size.mlp_ratio),
    image_size=method.size,
    patch_size=method.encoder.patch,
    num_channels=method.channels,
    hidden_dropout_prob=0.0,
    attention_probs_dropout_prob=0.0,
    dtype="float32",
  )


def write_hf_labels(method: Any) -> dict[str, Any]:
  """Names of the classes, as Transformers gives them by default."""
  names = [f"LABEL_{i}" for i in range(method.classes)]
  return dict(
    id2label={str(i): n for i, n in enumerate(names)},
    label2id={n: i for i, n in enumerate(names)},
  )


# timm.


def timm_arguments(
  config: Config,
  pattern: str,
  example: str,
  defaults: Callable[[re.Match], dict[str, Any]],
) -> dict[str, Any]:
  """Arguments of a network of timm: those of its name, and `model_args`.

  Args:
    config: config.json, with `architecture`.
    pattern: regex of the names known here; a ".tag" may follow.
    example: the same for people.
    defaults: match of a name -> all arguments.

  Raises:
    UserError: another name, or an argument that is not known here.
  """
  name = config.get("architecture", "")
  match = re.fullmatch(rf"{pattern}(\..*)?", name)
  if not match:
    raise errors.UserError(
      f"config.json: architecture={name!r}",
      example,
      "use --from with --config",
      "--weights",
    )
  args, changes = defaults(match), config.get("model_args") or {}
  changes = {k: v for k, v in changes.items() if v is not None}  # as timm does
  unknown = {k: v for k, v in changes.items() if k not in args}
  refuse(unknown, **dict.fromkeys(unknown))
  return args | changes


def timm_sizes(match: re.Match, letters: Mapping[str, str]) -> dict[str, Any]:
  """Arguments that a name such as "vit_base_patch16_224" gives a ViT.

  Args:
    match: of its word for a size, its patch and its image.
    letters: word -> key of `sizes.SIZES`.
  """
  size = sizes.SIZES[letters[match[1]]]
  return dict(
    img_size=int(match[3]),
    patch_size=int(match[2]),
    in_chans=3,
    embed_dim=size.width,
    depth=size.depth,
    num_heads=size.heads,
    mlp_ratio=size.mlp_ratio,
    qkv_bias=True,
  )


def timm_dims(args: Config) -> dict[str, Any]:
  """What a ViT of timm has of its arguments whatever else it is."""
  return dict(
    variant=f"B/{args['patch_size']}",
    size=args["img_size"],
    channels=args["in_chans"],
    width=args["embed_dim"],
    depth=args["depth"],
    heads=args["num_heads"],
    mlp_ratio=float(args["mlp_ratio"]),
    qkv_bias=args["qkv_bias"],
  )


def timm_classes(config: Config) -> int:
  """At least two, as `hf_classes`."""
  return max(2, config.get("num_classes", 1000))


def write_timm(method: Any) -> dict[str, Any]:
  """The inverse of `timm_dims`, but for `qkv_bias`."""
  net = method.encoder
  return dict(
    img_size=method.size,
    patch_size=net.patch,
    in_chans=method.channels,
    embed_dim=net.size.width,
    depth=net.size.depth,
    num_heads=net.size.heads,
    mlp_ratio=net.size.mlp_ratio,
  )
