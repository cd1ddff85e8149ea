"""ViT and I-JEPA as Transformers has them: weights and options."""

from collections.abc import Mapping
from typing import Any

from jmim.convert import family
from jmim.convert import pieces
from jmim.convert.tables import _backbone
from jmim.methods.supervised import backbone


def vit(method: backbone.Backbone, prefix: str = "vit.") -> pieces.Table:
  """ViTForImageClassification."""
  return [
    *pieces.hf_embeddings(method.encoder, f"{prefix}embeddings", "encoder"),
    *pieces.hf_block(
      f"{prefix}encoder.layer.{{i}}", _backbone.BLOCKS, method.qkv_bias
    ),
    *pieces.norm(f"{prefix}layernorm", "encoder/norm"),
    *_backbone.head("classifier"),
  ]


def ijepa(method: backbone.Backbone) -> pieces.Table:
  """IJepaForImageClassification, which has ViT's names."""
  return vit(method, "ijepa.")


def write_vit(method: backbone.Backbone) -> dict[str, Any]:
  """The inverse of `_backbone.read_hf` for a ViT."""
  return _backbone.write_hf(method, "vit", "ViTForImageClassification")


def read_ijepa(config: Mapping[str, Any]) -> dict[str, Any]:
  """Transformers' I-JEPA: no class token, mean pooling."""
  return _backbone.read_hf(config) | dict(cls=False, pool="mean")


def write_ijepa(method: backbone.Backbone) -> dict[str, Any]:
  """The inverse of `read_ijepa`."""
  return _backbone.write_hf(method, "ijepa", "IJepaForImageClassification")


FIXED = _backbone.PLAIN | dict(registers=0, layer_scale=0.0)
FAMILIES = {
  "hf_vit": family.Family(
    library="hf",
    methods=_backbone.METHODS,
    table=family.main(vit),
    containers=("",),
    aliases=(family.hf_prefix("vit"),),
    ignored=(r"(^|\.)pooler\.",),
    optional=family.HEAD,
    fixed=FIXED | dict(cls=True, pool="cls"),
    check=_backbone.ungated,
    read_config=_backbone.read_hf,
    write_config=write_vit,
    model_types=("vit",),
  ),
  "hf_ijepa": family.Family(
    library="hf",
    methods=_backbone.METHODS,
    table=family.main(ijepa),
    containers=("",),
    aliases=(family.hf_prefix("ijepa"),),
    ignored=(r"(^|\.)pooler\.", r"mask_token$"),
    optional=family.HEAD,
    fixed=FIXED | dict(cls=False, pool="mean"),
    check=_backbone.ungated,
    read_config=read_ijepa,
    write_config=write_ijepa,
    model_types=("ijepa",),
  ),
}
