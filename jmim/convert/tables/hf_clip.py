"""CLIP's vision tower as Transformers has it; the projection is our head."""

from collections.abc import Mapping
from typing import Any

from jmim.convert import family
from jmim.convert import options
from jmim.convert import pieces
from jmim.convert import table
from jmim.convert.tables import _backbone
from jmim.methods.supervised import backbone

# What a file of Transformers before version 5 leaves out.
DEFAULTS = dict(
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
# Fields of a ViT that is CLIP's, OpenCLIP's too.
FIXED = _backbone.PLAIN | dict(
  pre_norm=True,
  patch_bias=False,
  head_bias=False,
  pool="cls",
  cls=True,
  registers=0,
  layer_scale=0.0,
  qkv_bias=True,
)


def full(method: backbone.Backbone) -> pieces.Table:
  """CLIPVisionModelWithProjection."""
  tower = pieces.clip(method.encoder.patch, "vision_model.")
  return [
    *table.placed(tower, "", "encoder/"),
    *pieces.norm("vision_model.post_layernorm", "encoder/norm"),
    *_backbone.head("visual_projection", bias=False),
  ]


def read(config: Mapping[str, Any]) -> dict[str, Any]:
  """Transformers' CLIP, whole or its vision tower."""
  vision = DEFAULTS | dict(config.get("vision_config", config))
  return dict(
    **options.hf_dims(vision),
    **options.hf_image(vision),
    **options.hf_style(vision),
    classes=config.get("projection_dim", vision["projection_dim"]),
    pre_norm=True,
    patch_bias=False,
    head_bias=False,
  )


def write(method: backbone.Backbone) -> dict[str, Any]:
  """A vision tower with its projection."""
  name = "CLIPVisionModelWithProjection"
  config = options.write_hf(method, "clip_vision_model", name)
  for key in ("hidden_dropout_prob", "attention_probs_dropout_prob"):
    del config[key]
  return config | dict(
    hidden_act=options.HF_ACTS[method.act],
    layer_norm_eps=method.eps,
    projection_dim=method.classes,
    attention_dropout=0.0,
  )


FAMILIES = {
  "hf_clip": family.Family(
    library="hf",
    methods=_backbone.METHODS,
    table=family.main(full),
    containers=("",),
    aliases=(
      (
        r"^(embeddings|pre_layrnorm|encoder|post_layernorm)\b",
        r"vision_model.\1",
      ),
    ),
    ignored=(r"^text_", r"^logit_scale$", r"position_ids$"),
    optional=family.HEAD,
    fixed=FIXED,
    check=_backbone.ungated,
    read_config=read,
    write_config=write,
    model_types=("clip", "clip_vision_model"),
  )
}
