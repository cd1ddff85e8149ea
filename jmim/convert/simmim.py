"""Weights of the authors' SimMIM (microsoft/SimMIM), ViT and Swin."""

import einops

from jmim.convert import mae
from jmim.convert import table
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
    table.Rule(f"{theirs}.{{i}}.{a}", f"{ours}/layers/{b}")
    for a, b in names.items()
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
  body = swin if method.windowed else vit
  c = method.channels
  return [
    *body(method),
    table.Rule("encoder.mask_token", "encoder/mask_token"),
    table.Rule("decoder.0.weight", "head/kernel", pixel_shuffle(c, True)),
    table.Rule("decoder.0.bias", "head/bias", pixel_shuffle(c, False)),
  ]


def _patches(method) -> Table:
  name, ours = "encoder.patch_embed.proj", "encoder/patch_embed/proj"
  conv = table.patch_conv(method.channels)
  return [
    table.Rule(f"{name}.weight", f"{ours}/kernel", conv),
    table.Rule(f"{name}.bias", f"{ours}/bias"),
  ]


def vit(method: simmim.SimMIM) -> Table:
  """The BEiT-style ViT."""
  rules = [
    *_patches(method),
    table.Rule("encoder.cls_token", "encoder/cls_token"),
  ]
  blocks = beit_blocks(
    "encoder.blocks", "encoder/blocks", bool(method.layer_scale)
  )
  if not method.qkv_bias:
    blocks = [r for r in blocks if not r.theirs.endswith(("q_bias", "v_bias"))]
  rules += blocks
  name = "relative_position_bias_table"
  index = posemb.relative_index(method.grid, 1)
  owners = []
  if method.relative == "shared":
    rules.append(
      table.Rule(f"encoder.rel_pos_bias.{name}", "encoder/rel_pos_bias/table")
    )
    owners = ["encoder.rel_pos_bias"]
  elif method.relative == "block":
    rules.append(
      table.Rule(
        f"encoder.blocks.{{i}}.attn.{name}",
        "encoder/blocks/layers/relative/table",
      )
    )
    depth = method.encoder_size.depth
    owners = [f"encoder.blocks.{i}.attn" for i in range(depth)]
  rules += [
    table.Constant(f"{owner}.relative_position_index", index)
    for owner in owners
  ]
  if method.positions == "learned":
    rules.append(table.Rule("encoder.pos_embed", "encoder/pos_embed"))
  if method.final_norm:
    rules += mae.norm("encoder.norm", "encoder/norm")
  return rules


def swin(method: simmim.SimMIM) -> Table:
  """Swin v1."""
  rules = [*_patches(method), *mae.norm("encoder.norm", "encoder/norm")]
  if method.patch_norm:
    rules += mae.norm("encoder.patch_embed.norm", "encoder/patch_norm")
  if method.positions == "learned":
    rules.append(table.Rule("encoder.absolute_pos_embed", "encoder/pos_embed"))
  stages = len(method.encoder_size.depths)
  for s in range(stages):
    theirs, ours = f"encoder.layers.{s}.blocks", f"encoder/stage{s}"
    rules += [
      table.Rule(r.theirs, r.ours.replace("/layers/", "/layers/block/"), r.op)
      for r in mae.blocks(theirs, ours)
      if method.qkv_bias or not r.theirs.endswith("qkv.bias")
    ]
    rules.append(
      table.Rule(
        f"{theirs}.{{i}}.attn.relative_position_bias_table",
        f"{ours}/layers/block/relative/table",
      )
    )
    if s + 1 < stages:
      down = f"encoder.layers.{s}.downsample"
      rules += mae.norm(f"{down}.norm", f"encoder/merge{s}/norm")
      rules.append(
        table.Rule(
          f"{down}.reduction.weight",
          f"encoder/merge{s}/reduction/kernel",
          table.LINEAR,
        )
      )
  return rules
