"""Weights of the authors' DINOv3 (facebookresearch/dinov3).

For `supervised.backbone` with rotary positions. The authors keep the periods
of these angles in bfloat16; like Transformers and timm we compute them in
float32.
"""

import numpy as np

from jmim.convert import family
from jmim.convert import ops
from jmim.convert import pieces
from jmim.convert import table
from jmim.convert.tables import _backbone
from jmim.methods.supervised import backbone

FIXED = {k: v for k, v in _backbone.PLAIN.items() if k != "key_bias"} | dict(
  positions="rotary", cls=True
)


def _without_keys(x: np.ndarray) -> np.ndarray:
  q, _, v = np.split(x, 3)
  return np.concatenate([q, v])


def _with_keys(x: np.ndarray) -> np.ndarray:
  q, v = np.split(x, 2)
  return np.concatenate([q, np.zeros_like(q), v])


# Their bias of q, k and v, whose middle third is masked <-> q, v side by side.
NO_KEY = ops.Op(_without_keys, _with_keys)


def full(method: backbone.Backbone) -> pieces.Table:
  """The ViT with its masks and periods, which are written and not read."""
  net = method.encoder
  theirs, ours = "blocks.{i}", _backbone.BLOCKS
  token = np.zeros((1, net.size.width), np.float32)
  quarter = net.size.width // net.size.heads // 4
  periods = net.theta ** (np.arange(quarter) / quarter)
  rules = [
    *pieces.stem(net, "encoder/"),
    *_backbone.registers("storage_tokens", method),
    *pieces.norm(f"{theirs}.norm1", f"{ours}/norm1"),
    *pieces.dense(f"{theirs}.attn.qkv", f"{ours}/attn/qkv", bias=False),
    *pieces.dense(f"{theirs}.attn.proj", f"{ours}/attn/proj"),
    *pieces.layer_scales(f"{theirs}.ls", ours, ".gamma"),
    *pieces.norm(f"{theirs}.norm2", f"{ours}/norm2"),
    *mlp(
      method,
      f"{theirs}.mlp",
      gated=("w1", "w2", "w3"),
      plain=("fc1", "fc2"),
    ),
    table.Constant(theirs="mask_token", value=token, unused=True),
    table.Constant(
      theirs="rope_embed.periods", value=periods.astype(np.float32), unused=True
    ),
  ]
  return rules + (
    _bias(net.size.width, net.size.depth) if method.qkv_bias else []
  )


def _bias(width: int, depth: int) -> pieces.Table:
  """The bias of q, k and v with what masks that of k."""
  theirs, ours = "blocks.{i}.attn.qkv", f"{_backbone.BLOCKS}/attn"
  both = (f"{ours}/q_bias", f"{ours}/v_bias")
  mask = np.repeat(np.float32([1, 0, 1]), width)
  return [
    table.Rule(theirs=f"{theirs}.bias", ours=both, op=NO_KEY),
    *(
      table.Constant(
        theirs=f"blocks.{i}.attn.qkv.bias_mask", value=mask, unused=True
      )
      for i in range(depth)
    ),
  ]


def mlp(
  method: backbone.Backbone,
  theirs: str,
  gated: tuple[str, str, str],
  plain: tuple[str, str],
) -> pieces.Table:
  """The MLP, or SwiGLU of three layers.

  Args:
    method: tells which.
    theirs: name of the MLP.
    gated: names of gate, up and down.
    plain: names of an MLP's layers.
  """
  ours = f"{_backbone.BLOCKS}/mlp"
  if method.act != "swiglu":
    return pieces.mlp(theirs, ours, plain)
  layers = zip(gated, ("gate", "up", "down"), strict=True)
  return [
    r for a, b in layers for r in pieces.dense(f"{theirs}.{a}", f"{ours}/{b}")
  ]


def objection(method: backbone.Backbone) -> str | None:
  """What no DINOv3 can be, besides `FIXED`."""
  if not method.registers or not method.layer_scale:
    return "it has registers and LayerScale there"
  return None


def authors_objection(method: backbone.Backbone) -> str | None:
  """What a DINOv3 of the authors cannot be, besides `FIXED`."""
  if method.qkv_bias and method.key_bias:
    return "key_bias=True, where k has no bias there"
  return objection(method)


FAMILIES = {
  "dinov3": family.Family(
    library="authors",
    methods=_backbone.METHODS,
    table=family.main(full),
    containers=("teacher.backbone.", "model.", ""),
    ignored=(
      "^mask_token$",
      r"^rope_embed\.",
      r"bias_mask$",
      r"^local_cls_norm\.",
    ),
    optional=family.HEAD,
    unsupported=family.HEAD,
    fixed=FIXED,
    check=authors_objection,
  )
}
