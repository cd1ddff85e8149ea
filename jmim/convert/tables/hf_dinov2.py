"""DINOv2 as Transformers has it, with and without registers."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from jmim.convert import family
from jmim.convert import options
from jmim.convert import pieces
from jmim.convert import table
from jmim.convert.tables import _backbone
from jmim.methods.supervised import backbone


def full(method: backbone.Backbone) -> pieces.Table:
  """Dinov2ForImageClassification, Dinov2WithRegistersForImageClassification."""
  net, ours = method.encoder, _backbone.BLOCKS
  prefix = "dinov2_with_registers." if net.registers else "dinov2."
  theirs = f"{prefix}encoder.layer.{{i}}"
  attention, mlp = f"{theirs}.attention", (f"{theirs}.mlp", f"{ours}/mlp")
  qkv = [f"{attention}.attention.{n}" for n in pieces.QKV]
  token = np.zeros((1, net.size.width), np.float32)
  return [
    *pieces.hf_embeddings(net, f"{prefix}embeddings", "encoder"),
    table.Constant(
      theirs=f"{prefix}embeddings.mask_token", value=token, unused=True
    ),
    *pieces.norm(f"{theirs}.norm1", f"{ours}/norm1"),
    *pieces.fused(qkv, f"{ours}/attn/qkv", bias=method.qkv_bias),
    *pieces.dense(f"{attention}.output.dense", f"{ours}/attn/proj"),
    *pieces.norm(f"{theirs}.norm2", f"{ours}/norm2"),
    *pieces.layer_scales(f"{theirs}.layer_scale", ours, ".lambda1"),
    *(
      pieces.swiglu(*mlp, ("weights_in", "weights_out"))
      if method.act == "swiglu"
      else pieces.mlp(*mlp)
    ),
    *pieces.norm(f"{prefix}layernorm", "encoder/norm"),
    *_backbone.head("classifier"),
  ]


def swiglu_hidden(width: int, ratio: float) -> int:
  """Hidden width of DINOv2's SwiGLU: two thirds, up to a multiple of 8."""
  return (int(int(width * ratio) * 2 / 3) + 7) // 8 * 8


def whole_ratio(method: backbone.Backbone) -> int:
  """The whole `mlp_ratio` in the config.json of a method; 0: there is none."""
  size = method.encoder.size
  hidden, gated = int(size.width * size.mlp_ratio), method.act == "swiglu"
  for ratio in range(1, 17):
    wide = swiglu_hidden(size.width, ratio) if gated else size.width * ratio
    if wide == hidden:
      return ratio
  return 0


def objection(method: backbone.Backbone) -> str | None:
  """What neither can be, besides `fixed`."""
  if not whole_ratio(method):
    return "mlp_ratio is a whole number there, before SwiGLU's two thirds"
  return None if method.layer_scale else "layer_scale=0, which is there"


def registers_objection(method: backbone.Backbone) -> str | None:
  """What the one with registers cannot be, besides `fixed`."""
  why = None if method.registers else "registers=0, which are there"
  return objection(method) or why


def read(config: Mapping[str, Any]) -> dict[str, Any]:
  """Transformers' DINOv2, with or without registers."""
  fields = _backbone.read_hf(config) | dict(
    layer_scale=config["layerscale_value"],
    pool="cls_mean",
    registers=config.get("num_register_tokens", 0),
  )
  if config.get("use_swiglu_ffn"):
    width = config["hidden_size"]
    hidden = swiglu_hidden(width, config["mlp_ratio"])
    fields |= dict(act="swiglu", mlp_ratio=options.mlp_ratio(hidden, width))
  return fields


def write(method: backbone.Backbone) -> dict[str, Any]:
  """The inverse of `read`."""
  registers = bool(method.registers)
  kind = "dinov2" + "_with_registers" * registers
  name = f"Dinov2{'WithRegisters' * registers}ForImageClassification"
  config = _backbone.write_hf(method, kind, name)
  del config["intermediate_size"]
  more = {"num_register_tokens": method.registers} if registers else {}
  return (
    config
    | more
    | dict(
      mlp_ratio=whole_ratio(method),
      use_swiglu_ffn=method.act == "swiglu",
      layerscale_value=method.layer_scale,
      use_mask_token=True,
      image_size=method.table_size or method.size,
    )
  )


def resized(fields: Mapping[str, Any], size: int) -> dict[str, Any]:
  """The fields for images of another side: positions are resized to it."""
  return {**fields, "size": size, "table_size": fields["size"]}


FIXED = {k: v for k, v in _backbone.PLAIN.items() if k != "table_size"} | dict(
  cls=True, pool="cls_mean"
)
FAMILIES = {
  "hf_dinov2": family.Family(
    library="hf",
    methods=_backbone.METHODS,
    table=family.main(full),
    containers=("",),
    aliases=(family.hf_prefix("dinov2"),),
    ignored=(r"mask_token$",),
    optional=family.HEAD,
    fixed=FIXED | dict(registers=0),
    check=objection,
    read_config=read,
    write_config=write,
    resized=resized,
    model_types=("dinov2",),
  ),
  "hf_dinov2_with_registers": family.Family(
    library="hf",
    methods=_backbone.METHODS,
    table=family.main(full),
    containers=("",),
    aliases=(family.hf_prefix("dinov2_with_registers"),),
    ignored=(r"mask_token$",),
    optional=family.HEAD,
    fixed=FIXED,
    check=registers_objection,
    read_config=read,
    write_config=write,
    resized=resized,
    model_types=("dinov2_with_registers",),
  ),
}
