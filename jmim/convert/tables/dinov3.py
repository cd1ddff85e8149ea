"""DINOv3: weights as its authors and Transformers have it, and its options.

For `supervised.backbone` with rotary positions. The authors keep the periods
of these angles in bfloat16; like Transformers and timm we compute them in
float32.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from jmim.convert import table
from jmim.convert.tables import configs
from jmim.convert.tables import mae
from jmim.convert.tables import vits
from jmim.methods.supervised import backbone

Table = list[table.Rule | table.Constant]
ENCODER = vits.ENCODER


def _without_keys(x: np.ndarray) -> np.ndarray:
  q, _, v = np.split(x, 3)
  return np.concatenate([q, v])


def _with_keys(x: np.ndarray) -> np.ndarray:
  q, v = np.split(x, 2)
  return np.concatenate([q, np.zeros_like(q), v])


# Their bias of q, k and v, whose middle third is masked <-> q, v side by side.
NO_KEY = table.Op(_without_keys, _with_keys)


def authors(method: backbone.Backbone) -> Table:
  """facebookresearch/dinov3, with its masks and periods (not read)."""
  theirs, ours = "blocks.{i}", f"{ENCODER}/blocks/layers"
  size = method.encoder.size
  width, depth = size.width, size.depth
  rules = [
    r
    for r in vits.timm(method)
    if not r.theirs.endswith("qkv.bias") and ".mlp." not in r.theirs
  ]
  bias = (f"{ours}/attn/q_bias", f"{ours}/attn/v_bias")
  if method.qkv_bias:
    rules.append(
      table.Rule(theirs=f"{theirs}.attn.qkv.bias", ours=bias, op=NO_KEY)
    )
    mask = np.repeat(np.float32([1, 0, 1]), width)
    rules += [
      table.Constant(
        theirs=f"blocks.{i}.attn.qkv.bias_mask", value=mask, unused=True
      )
      for i in range(depth)
    ]
  if method.registers:
    name = f"{ENCODER}/register_tokens"
    rules.append(table.Rule(theirs="storage_tokens", ours=name))
  quarter = width // size.heads // 4
  periods = method.theta ** (np.arange(quarter) / quarter)
  token = np.zeros((1, width), np.float32)
  return [
    *rules,
    *_mlp(
      method,
      f"{theirs}.mlp",
      ours=f"{ours}/mlp",
      gated=("w1", "w2", "w3"),
      plain=("fc1", "fc2"),
    ),
    table.Constant(theirs="mask_token", value=token, unused=True),
    table.Constant(
      theirs="rope_embed.periods", value=periods.astype(np.float32), unused=True
    ),
  ]


def _mlp(method, theirs, ours, gated, plain) -> Table:
  """MLP or SwiGLU with these names of the layers."""
  swiglu = method.act == "swiglu"
  names = zip(
    gated if swiglu else plain,
    ("gate", "up", "down") if swiglu else ("fc1", "fc2"),
    strict=True,
  )
  return [
    rule for a, b in names for rule in mae.dense(f"{theirs}.{a}", f"{ours}/{b}")
  ]


def transformers(method: backbone.Backbone) -> Table:
  """DINOv3ViTModel, which has no classifier."""
  stem, theirs = "embeddings", "layer.{i}"
  ours, conv = f"{ENCODER}/blocks/layers", table.patch_conv(method.channels)
  proj, attn = f"{ENCODER}/patch_embed/proj", f"{theirs}.attention"
  token = np.zeros((1, 1, method.encoder.size.width), np.float32)
  every = lambda leaf: tuple(f"{attn}.{n}_proj.{leaf}" for n in "qkv")
  rules: Table = [
    table.Rule(
      theirs=f"{stem}.patch_embeddings.weight", ours=f"{proj}/kernel", op=conv
    ),
    table.Rule(theirs=f"{stem}.patch_embeddings.bias", ours=f"{proj}/bias"),
    table.Rule(theirs=f"{stem}.cls_token", ours=f"{ENCODER}/cls_token"),
    table.Rule(
      theirs=f"{stem}.register_tokens", ours=f"{ENCODER}/register_tokens"
    ),
    table.Constant(theirs=f"{stem}.mask_token", value=token, unused=True),
    table.Rule(
      theirs=every("weight"), ours=f"{ours}/attn/qkv/kernel", op=table.LINEAR
    ),
    *mae.dense(f"{attn}.o_proj", f"{ours}/attn/proj"),
    *_mlp(
      method,
      f"{theirs}.mlp",
      ours=f"{ours}/mlp",
      gated=("gate_proj", "up_proj", "down_proj"),
      plain=("up_proj", "down_proj"),
    ),
    *mae.norm("norm", f"{ENCODER}/norm"),
  ]
  for i in (1, 2):
    name = f"{theirs}.layer_scale{i}.lambda1"
    rules.append(table.Rule(theirs=name, ours=f"{ours}/ls{i}/gamma"))
    rules += mae.norm(f"{theirs}.norm{i}", f"{ours}/norm{i}")
  if method.qkv_bias and method.key_bias:
    rules.append(table.Rule(theirs=every("bias"), ours=f"{ours}/attn/qkv/bias"))
  elif method.qkv_bias:
    rules += [
      table.Rule(theirs=f"{attn}.{n}_proj.bias", ours=f"{ours}/attn/{n}_bias")
      for n in "qv"
    ]
  return rules


def objection(method: backbone.Backbone) -> str | None:
  """What a DINOv3 of Transformers cannot be."""
  if not method.registers or not method.layer_scale:
    return "it has registers and LayerScale there"
  return None


def authors_objection(method: backbone.Backbone) -> str | None:
  """What a DINOv3 of the authors cannot be."""
  if method.qkv_bias and method.key_bias:
    return "key_bias=True, where k has no bias there"
  return objection(method)


def read(config: Mapping[str, Any]) -> dict[str, Any]:
  """Transformers' DINOv3ViTModel: `supervised.backbone`."""
  bias = config.get("query_bias", True)
  configs.refuse(config, value_bias=bias, proj_bias=True, mlp_bias=True)
  gated = config.get("use_gated_mlp", False)
  if gated:
    configs.refuse(config, hidden_act="silu")
  style = configs.style({**config, "hidden_act": "gelu"} if gated else config)
  return (
    configs.body(config)
    | style
    | dict(
      positions="rotary",
      theta=float(config.get("rope_theta", 100.0)),
      qkv_bias=bias,
      key_bias=bias and config.get("key_bias", False),
      layer_scale=config.get("layerscale_value", 1.0),
      classes=2,
      pool="cls",
      registers=config["num_register_tokens"],
    )
    | ({"act": "swiglu"} if gated else {})
  )


def write(method: backbone.Backbone) -> dict[str, Any]:
  """The inverse of `read`."""
  gated = method.act == "swiglu"
  config = configs.write_body(method, "dinov3_vit", "DINOv3ViTModel")
  for key in ("hidden_dropout_prob", "attention_probs_dropout_prob"):
    del config[key]
  return config | dict(
    hidden_act="silu" if gated else configs.BACK[method.act],
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
