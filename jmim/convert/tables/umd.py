"""Weights of the authors' UMD (philippe-eecs/small-vision, flax).

Their repeated blocks are already stacked, layer first, where they are scanned
(as in all released weights).
"""

import einops
import numpy as np

from jmim.convert import table
from jmim.methods.diffusion import umd

SCANNED = "ScanCheckpointEncoder1DBlock_0"
UNROLLED = "Encoder1DBlock_{i}"
ATTENTION = "MultiHeadDotProductAttention_0"

# Convolution [p, p, c, d] with stride p <-> linear [(p p c), d].
EMBED = "p q c d -> (p q c) d"


def _patch(channels: int) -> table.Op:
  def to_theirs(x):
    p = round((len(x) / channels) ** 0.5)
    return einops.rearrange(x, "(p q c) d -> p q c d", p=p, c=channels)

  return table.Op(lambda x: einops.rearrange(x, EMBED), to_theirs)


def _unpatch(channels: int, patch: int) -> table.Op:
  """Flax ConvTranspose [p, p, d, c], flipped in space <-> [d, (p p c)]."""

  def to_ours(x):
    return einops.rearrange(x[::-1, ::-1], "p q d c -> d (p q c)")

  def to_theirs(x):
    y = einops.rearrange(x, "d (p q c) -> p q d c", p=patch, c=channels)
    return y[::-1, ::-1]

  return table.Op(to_ours, to_theirs)


def _bias(channels: int, patch: int) -> table.Op:
  """One bias per channel <-> one per output of a patch, all alike.

  The mean over a patch leads back (exactly: it is taken in float64), also of
  a gradient times p^2.
  """
  repeat = lambda x: np.tile(x, patch**2)

  def mean(x):
    return x.reshape(-1, channels).mean(0, dtype=np.float64).astype(x.dtype)

  return table.Op(repeat, mean)


def _attention(ours: str, theirs: str, heads: int) -> list:
  """q, k, v [..., w, h, d] <-> qkv [..., w, (3 h d)]; out [..., h, d, w]."""
  inner = table.Op(
    lambda x: x.reshape(*x.shape[:-2], -1),
    lambda x: x.reshape(*x.shape[:-1], heads, -1),
  )
  outer = table.Op(
    lambda x: einops.rearrange(x, "... h d w -> ... (h d) w"),
    lambda x: einops.rearrange(x, "... (h d) w -> ... h d w", h=heads),
  )
  names = lambda leaf: tuple(
    f"{theirs}/{n}/{leaf}" for n in ("query", "key", "value")
  )
  return [
    table.Rule(theirs=names("kernel"), ours=f"{ours}/qkv/kernel", op=inner),
    table.Rule(theirs=names("bias"), ours=f"{ours}/qkv/bias", op=inner),
    table.Rule(
      theirs=f"{theirs}/out/kernel", ours=f"{ours}/proj/kernel", op=outer
    ),
    table.Rule(theirs=f"{theirs}/out/bias", ours=f"{ours}/proj/bias"),
  ]


def _same(theirs: str, ours: str, *leaves: str) -> list[table.Rule]:
  return [
    table.Rule(theirs=f"{theirs}/{n}", ours=f"{ours}/{n}") for n in leaves
  ]


def _blocks(theirs: str, ours: str, method: umd.UMD, block: str) -> list:
  """One stack of blocks and the norm after it; `block`: their name."""
  inner, own = f"{theirs}/{block}", f"{ours}/layers"
  dense, norm = ("kernel", "bias"), ("scale", "bias")
  rules = [
    *_same(f"{inner}/LayerNorm_0", f"{own}/norm1", *norm),
    *_same(f"{inner}/LayerNorm_1", f"{own}/norm2", *norm),
    *_same(f"{inner}/MlpBlock_0/Dense_0", f"{own}/mlp/fc1", *dense),
    *_same(f"{inner}/MlpBlock_0/Dense_1", f"{own}/mlp/fc2", *dense),
    *_attention(f"{own}/attn", f"{inner}/{ATTENTION}", method.dims.size.heads),
    *_same(f"{theirs}/encoder_norm", f"{ours}_norm", *norm),
  ]
  if method.adaln:
    rules += _same(f"{inner}/Dense_0", f"{own}/modulation", *dense)
  return rules


def full(method: umd.UMD, scanned: bool = True) -> list:
  """The whole network; `scanned`: their blocks are stacked."""
  patch, out = method.dims.patch, 2 * method.channels
  block = SCANNED if scanned else UNROLLED
  dense = ("kernel", "bias")
  rules = [
    table.Rule(
      theirs="embedding/kernel",
      ours="patch_embed/kernel",
      op=_patch(method.channels),
    ),
    table.Rule(theirs="embedding/bias", ours="patch_embed/bias"),
    table.Rule(theirs="cls", ours="cls_token"),
    table.Rule(theirs="image_mask_embedding", ours="mask_token"),
    table.Rule(theirs="pos_embedding", ours="pos_embed"),
    table.Rule(theirs="dec_pos_embedding", ours="decoder_pos_embed"),
    table.Rule(
      theirs="final_conv/kernel", ours="pred/kernel", op=_unpatch(out, patch)
    ),
    table.Rule(
      theirs="final_conv/bias", ours="pred/bias", op=_bias(out, patch)
    ),
    *_same("time_trunk/Dense_0", "time_embed/fc1", *dense),
    *_same("time_trunk/Dense_1", "time_embed/fc2", *dense),
    *_blocks("Encoder", "encoder", method, block),
    *_blocks("Decoder", "decoder", method, block),
  ]
  if method.adaln:
    rules += _same("final_modulation", "modulation", *dense)
  if method.labels.classes:
    name = "label_emb/embedding/embedding"
    rules.append(table.Rule(theirs=name, ours="label_embed/embedding"))
    rules += _same("label_trunk/Dense_0", "label_fc1", *dense)
    rules += _same("label_trunk/Dense_1", "label_fc2", *dense)
  return rules
