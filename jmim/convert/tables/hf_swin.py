"""Swin as Transformers has it: SimMIM's, and the classifier."""

from collections.abc import Mapping
from typing import Any

from jmim.convert import table
from jmim.convert.tables import configs
from jmim.convert.tables import mae
from jmim.convert.tables import simmim
from jmim.convert.tables import vits
from jmim.methods.mim import simmim as methods
from jmim.methods.supervised import swin as classifiers

Table = list[table.Rule | table.Constant]
Method = methods.SimMIM | classifiers.Swin


def backbone(method: Method) -> Table:
  """SwinModel below "swin.", without its mask token."""
  stem, ours, c = "swin.embeddings", "encoder", method.channels
  proj, conv = f"{ours}/patch_embed/proj", table.patch_conv(c)
  theirs = f"{stem}.patch_embeddings.projection"
  stages = range(len(method.encoder.size.depths))
  return [
    table.Rule(theirs=f"{theirs}.weight", ours=f"{proj}/kernel", op=conv),
    table.Rule(theirs=f"{theirs}.bias", ours=f"{proj}/bias"),
    *mae.norm(f"{stem}.norm", f"{ours}/patch_norm"),
    *(rule for s in stages for rule in _stage(method, s)),
    *mae.norm("swin.layernorm", f"{ours}/norm"),
  ]


def classifier(method: classifiers.Swin) -> Table:
  """SwinForImageClassification."""
  return backbone(method) + mae.dense("classifier", "head/out")


def full(method: methods.SimMIM) -> Table:
  """SwinForMaskedImageModeling."""
  c, stem = method.channels, "swin.embeddings"
  return [
    *backbone(method),
    table.Rule(theirs=f"{stem}.mask_token", ours="encoder/mask_token"),
    table.Rule(
      theirs="decoder.0.weight",
      ours="head/kernel",
      op=simmim.pixel_shuffle(c, True),
    ),
    table.Rule(
      theirs="decoder.0.bias",
      ours="head/bias",
      op=simmim.pixel_shuffle(c, False),
    ),
  ]


def _stage(method: Method, s: int) -> Table:
  """Blocks of a stage, and the merging after it."""
  stage = f"swin.encoder.layers.{s}"
  theirs, ours = f"{stage}.blocks.{{i}}", f"encoder/stage{s}/layers/block"
  own, name = f"{theirs}.attention.self", "relative_position_bias_table"
  qkv = vits.separate(own, f"{ours}/attn/qkv", vits.QKV)
  rules = [
    *(qkv if method.qkv_bias else qkv[:1]),
    table.Rule(theirs=f"{own}.{name}", ours=f"{ours}/relative/table"),
    *mae.dense(f"{theirs}.attention.output.dense", f"{ours}/attn/proj"),
    *mae.norm(f"{theirs}.layernorm_before", f"{ours}/norm1"),
    *mae.norm(f"{theirs}.layernorm_after", f"{ours}/norm2"),
    *mae.dense(f"{theirs}.intermediate.dense", f"{ours}/mlp/fc1"),
    *mae.dense(f"{theirs}.output.dense", f"{ours}/mlp/fc2"),
  ]
  if s + 1 == len(method.encoder.size.depths):
    return rules
  down, merge = f"{stage}.downsample", f"encoder/merge{s}"
  return [
    *rules,
    *mae.norm(f"{down}.norm", f"{merge}/norm"),
    table.Rule(
      theirs=f"{down}.reduction.weight",
      ours=f"{merge}/reduction/kernel",
      op=table.LINEAR,
    ),
  ]


def read(config: Mapping[str, Any]) -> dict[str, Any]:
  """Transformers' Swin: `mim.simmim` of a "SwinB" with these sizes."""
  stride = config["patch_size"] * 2 ** (len(config["depths"]) - 1)
  configs.refuse(config, encoder_stride=stride)
  return _sizes(config) | dict(positions="none", patch_norm=True, square=stride)


def read_classifier(config: Mapping[str, Any]) -> dict[str, Any]:
  """SwinForImageClassification: `supervised.swin`."""
  return _sizes(config) | dict(classes=configs.classes(config))


def _sizes(config: Mapping[str, Any]) -> dict[str, Any]:
  configs.refuse(
    config,
    use_absolute_embeddings=False,
    hidden_act="gelu",
    layer_norm_eps=1e-5,
  )
  return dict(
    variant=f"SwinB/{config['patch_size']}",
    size=config["image_size"],
    channels=config.get("num_channels", 3),
    width=config["embed_dim"],
    depths=tuple(config["depths"]),
    heads=tuple(config["num_heads"]),
    mlp_ratio=float(config["mlp_ratio"]),
    window=config["window_size"],
    qkv_bias=config.get("qkv_bias", True),
  )


def write(method: Method) -> dict[str, Any]:
  """The inverse of `read`."""
  net = method.encoder
  size = net.size
  return dict(
    model_type="swin",
    architectures=["SwinForMaskedImageModeling"],
    image_size=method.size,
    patch_size=net.patch,
    embed_dim=size.width,
    num_channels=method.channels,
    depths=list(size.depths),
    num_heads=list(size.heads),
    window_size=size.window,
    mlp_ratio=size.mlp_ratio,
    qkv_bias=net.qkv_bias,
    hidden_act="gelu",
    use_absolute_embeddings=False,
    layer_norm_eps=1e-5,
    encoder_stride=net.stride,
    drop_path_rate=0.0,
    dtype="float32",
  )


def write_classifier(method: classifiers.Swin) -> dict[str, Any]:
  """The inverse of `read_classifier`."""
  own = dict(architectures=["SwinForImageClassification"])
  return write(method) | configs.labels(method) | own
