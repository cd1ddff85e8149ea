"""DINOv3 as Transformers has it: weights and options."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from jmim.convert import family
from jmim.convert import ops
from jmim.convert import options
from jmim.convert import pieces
from jmim.convert import table
from jmim.convert.tables import _backbone
from jmim.convert.tables import dinov3
from jmim.methods.supervised import backbone


def full(method: backbone.Backbone) -> pieces.Table:
  """DINOv3ViTModel, which has no classifier."""
  net, stem, theirs = method.encoder, "embeddings", "layer.{i}"
  ours, attention = _backbone.BLOCKS, f"{theirs}.attention"
  token = np.zeros((1, 1, net.size.width), np.float32)
  qkv, fused = [f"{attention}.{n}_proj" for n in "qkv"], method.key_bias
  rules = [
    *pieces.dense(
      f"{stem}.patch_embeddings",
      "encoder/patch_embed/proj",
      op=ops.patch_conv(net.patch),
    ),
    table.Rule(theirs=f"{stem}.cls_token", ours="encoder/cls_token"),
    *_backbone.registers(f"{stem}.register_tokens", method),
    table.Constant(theirs=f"{stem}.mask_token", value=token, unused=True),
    *pieces.norm(f"{theirs}.norm1", f"{ours}/norm1"),
    *pieces.fused(qkv, f"{ours}/attn/qkv", bias=method.qkv_bias and fused),
    *pieces.dense(f"{attention}.o_proj", f"{ours}/attn/proj"),
    *pieces.layer_scales(f"{theirs}.layer_scale", ours, ".lambda1"),
    *pieces.norm(f"{theirs}.norm2", f"{ours}/norm2"),
    *dinov3.mlp(
      method,
      f"{theirs}.mlp",
      gated=("gate_proj", "up_proj", "down_proj"),
      plain=("up_proj", "down_proj"),
    ),
    *pieces.norm("norm", "encoder/norm"),
  ]
  if method.qkv_bias and not fused:
    rules += [
      table.Rule(
        theirs=f"{attention}.{n}_proj.bias", ours=f"{ours}/attn/{n}_bias"
      )
      for n in "qv"
    ]
  return rules


def read(config: Mapping[str, Any]) -> dict[str, Any]:
  """Transformers' DINOv3ViTModel: `supervised.backbone`."""
  bias = config.get("query_bias", True)
  options.refuse(config, value_bias=bias, proj_bias=True, mlp_bias=True)
  style = {"act": "swiglu", "eps": config["layer_norm_eps"]}
  if config.get("use_gated_mlp", False):
    options.refuse(config, hidden_act="silu")
  else:
    style = options.hf_style(config)
  return dict(
    **options.hf_dims(config),
    **options.hf_image(config),
    **style,
    positions="rotary",
    theta=float(config.get("rope_theta", 100.0)),
    qkv_bias=bias,
    key_bias=bias and config.get("key_bias", False),
    layer_scale=config.get("layerscale_value", 1.0),
    classes=2,
    pool="cls",
    registers=config["num_register_tokens"],
  )


def write(method: backbone.Backbone) -> dict[str, Any]:
  """The inverse of `read`."""
  gated = method.act == "swiglu"
  config = options.write_hf(method, "dinov3_vit", "DINOv3ViTModel")
  for key in ("hidden_dropout_prob", "attention_probs_dropout_prob"):
    del config[key]
  return config | dict(
    hidden_act="silu" if gated else options.HF_ACTS[method.act],
    use_gated_mlp=gated,
    rope_theta=method.theta,
    num_register_tokens=method.registers,
    layer_norm_eps=method.eps,
    layerscale_value=method.layer_scale,
    attention_dropout=0.0,
    query_bias=method.qkv_bias,
    value_bias=method.qkv_bias,
    key_bias=method.qkv_bias and method.key_bias,
    proj_bias=True,
    mlp_bias=True,
  )


FAMILIES = {
  "hf_dinov3": family.Family(
    library="hf",
    methods=_backbone.METHODS,
    table=family.main(full),
    containers=("",),
    aliases=((r"^model\.layer\.", "layer."),),
    ignored=(r"mask_token$",),
    optional=family.HEAD,
    unsupported=family.HEAD,
    fixed=dinov3.FIXED,
    check=dinov3.objection,
    read_config=read,
    write_config=write,
    resized=lambda fields, size: {**fields, "size": size},  # nothing stored
    model_types=("dinov3_vit",),
  )
}
