"""The options of a network in the words of a library's config.json.

`read_*`: a library's config to the fields of our method; `write_*`: back.
Whatever a library's network can be and ours cannot is refused by name.
"""

from collections.abc import Mapping
from typing import Any

from jmim.core import errors

Config = Mapping[str, Any]
ACTS = {
  "gelu": "gelu",
  "gelu_new": "gelu_tanh",
  "gelu_pytorch_tanh": "gelu_tanh",
  "quick_gelu": "quick_gelu",
}
BACK = {"gelu": "gelu", "gelu_tanh": "gelu_new", "quick_gelu": "quick_gelu"}


def refuse(config: Config, **wanted: Any) -> None:
  """Raises UserError where a key is there and has another value."""
  wrong = [
    f"{k}={config[k]!r} (here {v!r})"
    for k, v in wanted.items()
    if k in config and config[k] != v
  ]
  if wrong:
    raise errors.UserError(
      f"config.json: {', '.join(wrong)}",
      "an architecture that is here",
      "use other weights",
      "--weights",
    )


def _ratio(hidden: int, width: int) -> float:
  """MLP ratio whose product with the width is cut to `hidden`."""
  ratio = hidden / width
  return ratio if int(width * ratio) == hidden else (hidden + 0.5) / width


def body(config: Config) -> dict[str, Any]:
  """Sizes that Transformers' vision models have in common."""
  width = config["hidden_size"]
  hidden = config.get("intermediate_size", None)
  hidden = int(width * config["mlp_ratio"]) if hidden is None else hidden
  return dict(
    variant=f"B/{config['patch_size']}",
    size=config["image_size"],
    channels=config.get("num_channels", 3),
    width=width,
    depth=config["num_hidden_layers"],
    heads=config["num_attention_heads"],
    mlp_ratio=_ratio(hidden, width),
  )


def style(config: Config) -> dict[str, Any]:
  """Activation and eps of the LayerNorms."""
  act = config.get("hidden_act", "gelu")
  if act not in ACTS:
    refuse(config, hidden_act="gelu")
  return dict(act=ACTS[act], eps=config["layer_norm_eps"])


def classes(config: Config) -> int:
  """At least two: of a network without a classifier the head stays fresh."""
  return max(2, len(config.get("id2label") or (0, 1)))


def write_body(method: Any, kind: str, name: str) -> dict[str, Any]:
  """The inverse of `body`, for a model type and its class."""
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


def labels(method: Any) -> dict[str, Any]:
  """Names of the classes, as Transformers gives them by default."""
  names = [f"LABEL_{i}" for i in range(method.classes)]
  return dict(
    id2label={str(i): n for i, n in enumerate(names)},
    label2id={n: i for i, n in enumerate(names)},
  )


def _options(method: Any) -> dict[str, Any]:
  return labels(method) | dict(
    hidden_act=BACK.get(method.act, "gelu"),
    layer_norm_eps=method.eps,
    qkv_bias=method.qkv_bias,
  )


def read_vit(config: Config) -> dict[str, Any]:
  """Transformers' ViT: `supervised.backbone`."""
  return dict(
    **body(config),
    **style(config),
    classes=classes(config),
    qkv_bias=config.get("qkv_bias", True),
  )


def write_vit(method: Any) -> dict[str, Any]:
  """The inverse of `read_vit`."""
  name = "ViTForImageClassification"
  return write_body(method, "vit", name) | _options(method)


def read_ijepa(config: Config) -> dict[str, Any]:
  """Transformers' I-JEPA: no class token, mean pooling."""
  return read_vit(config) | dict(cls=False, pool="mean")


def write_ijepa(method: Any) -> dict[str, Any]:
  """The inverse of `read_ijepa`."""
  name = "IJepaForImageClassification"
  return write_body(method, "ijepa", name) | _options(method)


def read_dinov2(config: Config) -> dict[str, Any]:
  """Transformers' DINOv2, with or without registers."""
  found = read_vit(config) | dict(
    layer_scale=config["layerscale_value"],
    pool="cls_mean",
    registers=config.get("num_register_tokens", 0),
  )
  if config.get("use_swiglu_ffn"):
    width = config["hidden_size"]
    hidden = swiglu_hidden(width, config["mlp_ratio"])
    found |= dict(act="swiglu", mlp_ratio=_ratio(hidden, width))
  return found


def swiglu_hidden(width: int, ratio: float) -> int:
  """Hidden width of DINOv2's SwiGLU: two thirds, up to a multiple of 8."""
  return (int(int(width * ratio) * 2 / 3) + 7) // 8 * 8


def dinov2_ratio(method: Any) -> int:
  """The whole `mlp_ratio` in the config.json of a method; 0: there is none."""
  size = method.encoder.size
  hidden, gated = int(size.width * size.mlp_ratio), method.act == "swiglu"
  for ratio in range(1, 17):
    wide = swiglu_hidden(size.width, ratio) if gated else size.width * ratio
    if wide == hidden:
      return ratio
  return 0


def write_dinov2(method: Any) -> dict[str, Any]:
  """The inverse of `read_dinov2`."""
  registers = bool(method.registers)
  kind = "dinov2" + "_with_registers" * registers
  name = f"Dinov2{'WithRegisters' * registers}ForImageClassification"
  config = write_body(method, kind, name) | _options(method)
  del config["intermediate_size"]
  more = {"num_register_tokens": method.registers} if registers else {}
  return (
    config
    | more
    | dict(
      mlp_ratio=dinov2_ratio(method),
      use_swiglu_ffn=method.act == "swiglu",
      layerscale_value=method.layer_scale,
      use_mask_token=True,
    )
  )


def read_clip(config: Config) -> dict[str, Any]:
  """Transformers' CLIP, whole or its vision tower; the head projects."""
  vision = config.get("vision_config", config)
  defaults = dict(  # of a file of Transformers before version 5, what it omits
    hidden_size=768,
    num_hidden_layers=12,
    num_attention_heads=12,
    intermediate_size=3072,
    image_size=224,
    patch_size=32,
    hidden_act="quick_gelu",
    layer_norm_eps=1e-5,
    projection_dim=512,
  )
  vision = defaults | dict(vision)
  wide = config.get("projection_dim", vision["projection_dim"])
  return dict(
    **body(vision),
    **style(vision),
    classes=wide,
    pre_norm=True,
    patch_bias=False,
    head_bias=False,
  )


def write_clip(method: Any) -> dict[str, Any]:
  """A vision tower with its projection."""
  name = "CLIPVisionModelWithProjection"
  config = write_body(method, "clip_vision_model", name)
  for key in ("hidden_dropout_prob", "attention_probs_dropout_prob"):
    del config[key]
  return config | dict(
    hidden_act=BACK[method.act],
    layer_norm_eps=method.eps,
    projection_dim=method.classes,
    attention_dropout=0.0,
  )


def read_vit_mae(config: Config) -> dict[str, Any]:
  """Transformers' ViTMAE: `mim.mae`, whose LayerNorms have eps 1e-6."""
  refuse(config, hidden_act="gelu", qkv_bias=True)
  width = config["decoder_hidden_size"]
  sizes = body(config)
  own = int(width * sizes["mlp_ratio"])
  refuse(config, decoder_intermediate_size=own)
  return sizes | dict(
    decoder_width=width,
    decoder_depth=config["decoder_num_hidden_layers"],
    decoder_heads=config["decoder_num_attention_heads"],
    mask_ratio=config.get("mask_ratio", 0.75),
    norm_pix=config.get("norm_pix_loss", False),
  )


def write_vit_mae(method: Any) -> dict[str, Any]:
  """The inverse of `read_vit_mae`."""
  size = method.decoder.size
  return write_body(method, "vit_mae", "ViTMAEForPreTraining") | dict(
    decoder_hidden_size=size.width,
    decoder_num_hidden_layers=size.depth,
    decoder_num_attention_heads=size.heads,
    decoder_intermediate_size=int(size.width * size.mlp_ratio),
    mask_ratio=method.mask_ratio,
    norm_pix_loss=method.norm_pix,
    hidden_act="gelu",
    layer_norm_eps=1e-6,
    qkv_bias=True,
  )


def read_videomae(config: Config) -> dict[str, Any]:
  """Transformers' VideoMAE: `video.videomae_v2` without decoder masking."""
  widths = config["hidden_size"], config["decoder_hidden_size"]
  refuse(
    config,
    hidden_act="gelu",
    qkv_bias=True,
    qv_bias=True,
    num_channels=3,
    use_mean_pooling=False,
    intermediate_size=4 * widths[0],
    decoder_intermediate_size=4 * widths[1],
  )
  sizes = body(config)
  del sizes["channels"], sizes["mlp_ratio"]
  return sizes | dict(
    frames=config["num_frames"],
    tubelet=config["tubelet_size"],
    decoder_width=widths[1],
    decoder_depth=config["decoder_num_hidden_layers"],
    decoder_heads=config["decoder_num_attention_heads"],
    decoder_ratio=0.0,
    normalise=config.get("norm_pix_loss", True),
  )


def write_videomae(method: Any) -> dict[str, Any]:
  """The inverse of `read_videomae`."""
  own, size = method.encoder.size, method.decoder.size
  return dict(
    model_type="videomae",
    architectures=["VideoMAEForPreTraining"],
    hidden_size=own.width,
    num_hidden_layers=own.depth,
    num_attention_heads=own.heads,
    intermediate_size=4 * own.width,
    image_size=method.size,
    patch_size=method.patch,
    num_channels=3,
    num_frames=method.frames,
    tubelet_size=method.tubelet,
    decoder_hidden_size=size.width,
    decoder_num_hidden_layers=size.depth,
    decoder_num_attention_heads=size.heads,
    decoder_intermediate_size=4 * size.width,
    hidden_act="gelu",
    hidden_dropout_prob=0.0,
    attention_probs_dropout_prob=0.0,
    layer_norm_eps=1e-6,
    qkv_bias=True,
    use_mean_pooling=False,
    norm_pix_loss=method.normalise,
    dtype="float32",
  )


def read_dit(config: Config) -> dict[str, Any]:
  """Diffusers' DiTTransformer2DModel: `diffusion.dit`."""
  refuse(
    config,
    norm_type="ada_norm_zero",
    activation_fn="gelu-approximate",
    attention_bias=True,
    norm_elementwise_affine=False,
  )
  channels, heads = config["in_channels"], config["num_attention_heads"]
  out = config.get("out_channels") or channels
  refuse({"out_channels": out}, out_channels=channels * (1 + (out > channels)))
  learned = out > channels
  return dict(
    variant=f"B/{config['patch_size']}",
    size=config["sample_size"],
    channels=channels,
    width=heads * config["attention_head_dim"],
    depth=config["num_layers"],
    heads=heads,
    mlp_ratio=4.0,
    classes=config["num_embeds_ada_norm"],
    learn_variance=learned,
    variance="learned" if learned else "small",
  )


def write_dit(method: Any) -> dict[str, Any]:
  """The inverse of `read_dit`."""
  size = method.dims.size
  return {
    "_class_name": "DiTTransformer2DModel",
    "_diffusers_version": "0.30.0",
    "num_attention_heads": size.heads,
    "attention_head_dim": size.width // size.heads,
    "in_channels": method.channels,
    "out_channels": method.net.out,
    "num_layers": size.depth,
    "sample_size": method.size,
    "patch_size": method.dims.patch,
    "num_embeds_ada_norm": method.labels.classes,
    "activation_fn": "gelu-approximate",
    "norm_type": "ada_norm_zero",
    "norm_elementwise_affine": False,
    "norm_eps": 1e-6,
    "attention_bias": True,
  }
