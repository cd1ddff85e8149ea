"""What layouts of plain ViTs have in common; `supervised.backbone` holds them.

Its leaves are below "encoder/" and "head/".
"""

from collections.abc import Mapping
from typing import Any

from jmim.convert import options
from jmim.convert import pieces
from jmim.convert import table

METHODS = ("supervised.backbone",)
ENCODER, BLOCKS, HEAD = "encoder", "encoder/blocks/layers", "head"
# Fields of a ViT without anything special.
PLAIN = dict(
  positions="learned",
  table_size=0,
  pre_norm=False,
  patch_bias=True,
  final_norm=True,
  head_norm=False,
  head_bias=True,
  key_bias=True,
  relative="none",
)


def head(theirs: str, bias: bool = True) -> pieces.Table:
  """The classifier."""
  return pieces.dense(theirs, f"{HEAD}/out", bias=bias)


def registers(theirs: str, method: Any) -> pieces.Table:
  """Register tokens where there are some."""
  if not method.encoder.registers:
    return []
  ours = f"{ENCODER}/register_tokens"
  return [table.Rule(theirs=theirs, ours=ours)]


def ungated(method: Any) -> str | None:
  """What is wrong with a SwiGLU where there is none; None: it has none."""
  return "act='swiglu'" if method.act == "swiglu" else None


def read_hf(config: Mapping[str, Any]) -> dict[str, Any]:
  """A classifier of Transformers with ViT's words in its config.json."""
  return dict(
    **options.hf_dims(config),
    **options.hf_image(config),
    **options.hf_style(config),
    classes=options.hf_classes(config),
    qkv_bias=config.get("qkv_bias", True),
  )


def write_hf(method: Any, kind: str, name: str) -> dict[str, Any]:
  """The inverse of `read_hf`, for a model type and its class."""
  body = options.write_hf(method, kind, name) | options.write_hf_labels(method)
  return body | dict(
    hidden_act=options.HF_ACTS.get(method.act, "gelu"),
    layer_norm_eps=method.eps,
    qkv_bias=method.qkv_bias,
  )
