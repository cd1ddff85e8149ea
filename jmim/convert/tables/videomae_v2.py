"""Weights of the authors' VideoMAE V2 (OpenGVLab/VideoMAEv2)."""

import einops

from jmim.convert import table
from jmim.convert.tables import mae
from jmim.convert.tables import simmim
from jmim.methods.video import videomae_v2

Table = list[table.Rule | table.Constant]


def tubelet_conv(frames: int) -> table.Op:
  """Convolution [d, 3, f, p, p] <-> linear [(f p p 3), d]."""

  def to_theirs(x):
    p = round((x.shape[0] / (3 * frames)) ** 0.5)
    return einops.rearrange(x, "(f p q c) d -> d c f p q", f=frames, p=p, c=3)

  return table.Op(
    lambda x: einops.rearrange(x, "d c f p q -> (f p q c) d"), to_theirs
  )


def blocks(method: videomae_v2.VideoMAE, theirs: str, ours: str) -> Table:
  """Blocks with q and v biases; with cosine attention a scale per head."""
  rules = simmim.beit_blocks(theirs, ours, bool(method.layer_scale))
  if method.cosine:
    rules.append(
      table.Rule(
        theirs=f"{theirs}.{{i}}.attn.scale",
        ours=f"{ours}/layers/attn/logit_scale",
      )
    )
  return rules


def full(method: videomae_v2.VideoMAE) -> Table:
  """Encoder and decoder."""
  proj, conv = "patch_embed.proj", tubelet_conv(method.tubelet)
  ours = "encoder/patch_embed/proj"
  return [
    table.Rule(theirs=f"encoder.{proj}.weight", ours=f"{ours}/kernel", op=conv),
    table.Rule(theirs=f"encoder.{proj}.bias", ours=f"{ours}/bias"),
    *blocks(method, "encoder.blocks", "encoder/blocks"),
    *mae.norm("encoder.norm", "encoder/norm"),
    table.Rule(
      theirs="encoder_to_decoder.weight",
      ours="decoder/embed/kernel",
      op=table.LINEAR,
    ),
    table.Rule(theirs="mask_token", ours="decoder/mask_token"),
    *blocks(method, "decoder.blocks", "decoder/blocks"),
    *mae.norm("decoder.norm", "decoder/norm"),
    *mae.dense("decoder.head", "decoder/head"),
  ]
