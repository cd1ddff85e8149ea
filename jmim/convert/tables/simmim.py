"""Weights of the authors' SimMIM (microsoft/SimMIM), ViT and Swin."""

import einops

from jmim.convert import table
from jmim.convert.tables import mae
from jmim.convert.tables import swin as swins
from jmim.methods.mim import simmim
from jmim.nn import posemb

Table = list[table.Rule | table.Constant]


def beit_blocks(theirs: str, ours: str, layer_scale: bool) -> Table:
  """Pre-norm blocks with q and v biases and LayerScale ("gamma_1")."""
  rules = [
    rule
    for rule in mae.blocks(theirs, ours)
    if not rule.theirs.endswith("qkv.bias")
  ]
  names = {f"attn.{b}": f"attn/{b}" for b in ("q_bias", "v_bias")}
  if layer_scale:
    names |= {f"gamma_{i}": f"ls{i}/gamma" for i in (1, 2)}
  return rules + [
    table.Rule(theirs=f"{theirs}.{{i}}.{a}", ours=f"{ours}/layers/{b}")
    for a, b in names.items()
  ]


def relative(kind: str, grid: tuple[int, int], depth: int) -> Table:
  """BEiT's biases by relative position, and their fixed indices.

  Args:
    kind: "none", "shared" (one table) or "block" (one per block).
    grid: (h, w) in patches, after a class token.
    depth: number of blocks.
  """
  name, owners = "relative_position_bias_table", []
  rules: Table = []
  if kind == "shared":
    rules = [
      table.Rule(theirs=f"rel_pos_bias.{name}", ours="rel_pos_bias/table")
    ]
    owners = ["rel_pos_bias"]
  elif kind == "block":
    ours = "blocks/layers/relative/table"
    rules = [table.Rule(theirs=f"blocks.{{i}}.attn.{name}", ours=ours)]
    owners = [f"blocks.{i}.attn" for i in range(depth)]
  index = posemb.relative_index(grid, 1)
  return rules + [
    table.Constant(theirs=f"{owner}.relative_position_index", value=index)
    for owner in owners
  ]


def pixel_shuffle(channels: int, conv: bool) -> table.Op:
  """1x1 convolution to (c p q) channels <-> linear to (p q c), or its bias."""

  def side(n):
    return round((n / channels) ** 0.5)

  if not conv:
    return table.Op(
      lambda x: einops.rearrange(
        x, "(c p q) -> (p q c)", c=channels, p=side(len(x))
      ),
      lambda x: einops.rearrange(
        x, "(p q c) -> (c p q)", c=channels, p=side(len(x))
      ),
    )
  return table.Op(
    lambda x: einops.rearrange(
      x, "(c p q) d 1 1 -> d (p q c)", c=channels, p=side(len(x))
    ),
    lambda x: einops.rearrange(
      x, "d (p q c) -> (c p q) d 1 1", c=channels, p=side(x.shape[1])
    ),
  )


def full(method: simmim.SimMIM) -> Table:
  """Backbone and head."""
  body = swin if method.backbone.windowed else vit
  c = method.channels
  return [
    *body(method),
    table.Rule(theirs="encoder.mask_token", ours="encoder/mask_token"),
    table.Rule(
      theirs="decoder.0.weight", ours="head/kernel", op=pixel_shuffle(c, True)
    ),
    table.Rule(
      theirs="decoder.0.bias", ours="head/bias", op=pixel_shuffle(c, False)
    ),
  ]


def _patches(method) -> Table:
  name, ours = "encoder.patch_embed.proj", "encoder/patch_embed/proj"
  conv = table.patch_conv(method.channels)
  return [
    table.Rule(theirs=f"{name}.weight", ours=f"{ours}/kernel", op=conv),
    table.Rule(theirs=f"{name}.bias", ours=f"{ours}/bias"),
  ]


def vit(method: simmim.SimMIM) -> Table:
  """The BEiT-style ViT."""
  rules = [
    *_patches(method),
    table.Rule(theirs="encoder.cls_token", ours="encoder/cls_token"),
  ]
  blocks = beit_blocks(
    "encoder.blocks", "encoder/blocks", bool(method.backbone.layer_scale)
  )
  if not method.backbone.qkv_bias:
    blocks = [r for r in blocks if not r.theirs.endswith(("q_bias", "v_bias"))]
  rules += blocks
  own = relative(
    method.backbone.relative, method.grid, method.backbone.size.depth
  )
  rules += table.placed(own, "encoder.", "encoder/")
  if method.backbone.positions == "learned":
    rules.append(
      table.Rule(theirs="encoder.pos_embed", ours="encoder/pos_embed")
    )
  if method.backbone.final_norm:
    rules += mae.norm("encoder.norm", "encoder/norm")
  return rules


def swin(method: simmim.SimMIM) -> Table:
  """Swin v1."""
  return table.placed(swins.authors(method), "encoder.", "encoder/")
