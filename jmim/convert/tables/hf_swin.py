"""Swin as Transformers has it: SimMIM's, and the classifier."""

from collections.abc import Mapping
from typing import Any

from jmim.convert import family
from jmim.convert import ops
from jmim.convert import options
from jmim.convert import pieces
from jmim.convert import table
from jmim.convert.tables import swin
from jmim.methods.mim import simmim
from jmim.methods.supervised import swin as classifiers
from jmim.nn.nets import swin as nets

Method = simmim.SimMIM | classifiers.Swin


def backbone(model: nets.Swin) -> pieces.Table:
  """SwinModel below "swin.", without its mask token."""
  embeddings = "swin.embeddings"
  return [
    *pieces.dense(
      f"{embeddings}.patch_embeddings.projection",
      "encoder/patch_embed/proj",
      op=ops.patch_conv(model.patch),
    ),
    *pieces.norm(f"{embeddings}.norm", "encoder/patch_norm"),
    *(r for s in range(len(model.size.depths)) for r in _stage(model, s)),
    *pieces.norm("swin.layernorm", "encoder/norm"),
  ]


def _stage(model: nets.Swin, s: int) -> pieces.Table:
  """Blocks of a stage, and the merging after it."""
  stage = f"swin.encoder.layers.{s}"
  theirs, ours = f"{stage}.blocks.{{i}}", f"encoder/stage{s}/layers/block"
  rules = pieces.hf_block(theirs, ours, model.qkv_bias, inner="self")
  bias = f"{theirs}.attention.self.relative_position_bias_table"
  rules.append(table.Rule(theirs=bias, ours=f"{ours}/relative/table"))
  if s + 1 < len(model.size.depths):
    rules += swin.merge(f"{stage}.downsample", f"encoder/merge{s}")
  return rules


def classifier(method: classifiers.Swin) -> pieces.Table:
  """SwinForImageClassification."""
  return backbone(method.encoder) + pieces.dense("classifier", "head/out")


def full(method: simmim.SimMIM) -> pieces.Table:
  """SwinForMaskedImageModeling."""
  kernel, bias = ops.pixel_shuffle(method.encoder.stride)
  token = "swin.embeddings.mask_token"
  return [
    *backbone(method.encoder),
    table.Rule(theirs=token, ours="encoder/mask_token"),
    table.Rule(theirs="decoder.0.weight", ours="head/kernel", op=kernel),
    table.Rule(theirs="decoder.0.bias", ours="head/bias", op=bias),
  ]


def read(config: Mapping[str, Any]) -> dict[str, Any]:
  """SwinForMaskedImageModeling: `mim.simmim` of a "SwinB" of these sizes."""
  stride = config["patch_size"] * 2 ** (len(config["depths"]) - 1)
  options.refuse(config, encoder_stride=stride)
  return _sizes(config) | dict(positions="none", patch_norm=True, square=stride)


def read_classifier(config: Mapping[str, Any]) -> dict[str, Any]:
  """SwinForImageClassification: `supervised.swin`."""
  return _sizes(config) | dict(classes=options.hf_classes(config))


def _sizes(config: Mapping[str, Any]) -> dict[str, Any]:
  """What both say of the network."""
  options.refuse(
    config,
    use_absolute_embeddings=False,
    hidden_act="gelu",
    layer_norm_eps=1e-5,
  )
  return dict(
    variant=f"SwinB/{config['patch_size']}",
    **options.hf_image(config),
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
  name = dict(architectures=["SwinForImageClassification"])
  return write(method) | options.write_hf_labels(method) | name


FAMILIES = {
  "hf_swin": family.Family(
    library="hf",
    methods=("mim.simmim",),
    table=family.main(full),
    containers=("",),
    ignored=(r"relative_position_index$", r"^(swin\.)?pooler\."),
    optional=family.HEAD,
    check=swin.plain,
    read_config=read,
    write_config=write,
    model_types=("swin",),
  ),
  "hf_swin_classifier": family.Family(
    library="hf",
    methods=("supervised.swin",),
    table=family.main(classifier),
    containers=("",),
    aliases=(family.hf_prefix("swin"),),
    ignored=(*swin.COMPUTED, r"(^|\.)pooler\.", r"mask_token$"),
    optional=family.HEAD,
    check=swin.plain,
    read_config=read_classifier,
    write_config=write_classifier,
    architectures=("SwinForImageClassification",),
  ),
}
