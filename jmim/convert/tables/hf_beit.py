"""BEiT as Transformers has it: weights and options."""

from collections.abc import Mapping
from typing import Any

from jmim.convert import family
from jmim.convert import options
from jmim.convert import pieces
from jmim.convert import table
from jmim.convert.tables import _backbone
from jmim.convert.tables import beit
from jmim.methods.supervised import backbone


def full(method: backbone.Backbone) -> pieces.Table:
  """BeitForImageClassification."""
  theirs, ours = "beit.encoder.layer.{i}", _backbone.BLOCKS
  attention = f"{theirs}.attention.attention"
  biases, leaves = ("query.bias", "value.bias"), {}
  name = "relative_position_bias.relative_position_bias_table"
  if method.relative == "block":
    leaves[f"{attention}.{name}"] = f"{ours}/relative/table"
  if method.relative == "shared":
    leaves[f"beit.encoder.{name}"] = "encoder/rel_pos_bias/table"
  if method.head_norm:
    norm = pieces.norm("beit.pooler.layernorm", "head/norm")
  else:
    norm = pieces.norm("beit.layernorm", "encoder/norm")
  rules = [
    *pieces.hf_embeddings(method.encoder, "beit.embeddings", "encoder"),
    *pieces.hf_block(theirs, ours, qkv_bias=False),
    *pieces.qv_biases(attention, f"{ours}/attn", biases),
    *(table.Rule(theirs=a, ours=b) for a, b in leaves.items()),
    *norm,
    *_backbone.head("classifier"),
  ]
  if method.layer_scale:
    rules += pieces.layer_scales(f"{theirs}.lambda_", ours)
  return rules


def read(config: Mapping[str, Any]) -> dict[str, Any]:
  """BeitForImageClassification: `supervised.backbone`."""
  get = config.get
  return dict(
    **options.hf_dims(config),
    **options.hf_image(config),
    **options.hf_style(config),
    key_bias=False,
    **beit.pooling(get("use_mean_pooling", True)),
    classes=options.hf_classes(config),
    positions="learned" if get("use_absolute_position_embeddings") else "none",
    relative=beit.relative(
      get("use_relative_position_bias", False),
      get("use_shared_relative_position_bias", False),
    ),
    layer_scale=get("layer_scale_init_value", 0.1),
  )


def write(method: backbone.Backbone) -> dict[str, Any]:
  """The inverse of `read`."""
  body = options.write_hf(method, "beit", "BeitForImageClassification")
  return (
    body
    | options.write_hf_labels(method)
    | dict(
      hidden_act=options.HF_ACTS[method.act],
      layer_norm_eps=method.eps,
      use_mean_pooling=method.pool == "mean",
      use_mask_token=False,
      use_absolute_position_embeddings=method.positions == "learned",
      use_relative_position_bias=method.relative == "block",
      use_shared_relative_position_bias=method.relative == "shared",
      layer_scale_init_value=method.layer_scale,
    )
  )


FAMILIES = {
  "hf_beit": family.Family(
    library="hf",
    methods=_backbone.METHODS,
    table=family.main(full),
    containers=("",),
    aliases=(family.hf_prefix("beit", "pooler"),),
    ignored=(r"relative_position_index$", r"mask_token$", r"^lm_head\."),
    optional=family.HEAD,
    fixed=beit.FIXED | {"qkv_bias": True},
    check=beit.objection,
    read_config=read,
    write_config=write,
    model_types=("beit",),
  )
}
