"""Weights of the authors' UMD (philippe-eecs/small-vision, flax).

Their repeated blocks are already stacked, layer first, where they are scanned
(as in all released weights).
"""

import einops
import numpy as np

from jmim.convert import family
from jmim.convert import ops
from jmim.convert import pieces
from jmim.convert import table
from jmim.methods.diffusion import umd
from jmim.nn.nets import dit as nets

SCANNED = "ScanCheckpointEncoder1DBlock_0"
UNROLLED = "Encoder1DBlock_{i}"


def unpatch(channels: int, patch: int) -> ops.Op:
  """flax's ConvTranspose [p, p, d, c], flipped in space <-> [d, (p p c)]."""
  sizes = dict(p=patch, q=patch, c=channels)

  def to_ours(x):
    return einops.rearrange(x[::-1, ::-1], "p q d c -> d (p q c)")

  def to_theirs(x):
    y = einops.rearrange(x, "d (p q c) -> p q d c", **sizes)
    return y[::-1, ::-1]

  return ops.Op(to_ours, to_theirs)


def repeated(channels: int, patch: int) -> ops.Op:
  """One bias per channel <-> one per output of a patch, all alike.

  The mean over a patch leads back (exactly: it is taken in float64), also of
  a gradient times p^2.
  """

  def mean(x):
    return x.reshape(-1, channels).mean(0, dtype=np.float64).astype(x.dtype)

  return ops.Op(lambda x: np.tile(x, patch**2), mean)


def _blocks(
  theirs: str, ours: str, net: nets.MaskedDiT, block: str
) -> pieces.Table:
  """One stack of blocks and the norm after it; `block`: their name."""
  same, inner, layers = pieces.same, f"{theirs}/{block}", f"{ours}/layers"
  rules = [
    *pieces.flax_block(inner, layers, net.size.heads),
    *same(f"{theirs}/encoder_norm", f"{ours}_norm", *pieces.NORM),
  ]
  if net.adaln:
    rules += same(f"{inner}/Dense_0", f"{layers}/modulation", *pieces.DENSE)
  return rules


def full(method: umd.UMD, scanned: bool = True) -> pieces.Table:
  """The whole network; `scanned`: their blocks are stacked."""
  net, same = method.net, pieces.same
  block = SCANNED if scanned else UNROLLED
  conv = ops.flax_patch_conv(net.patch)
  pred = (2 * net.channels, net.patch)
  rules = [
    table.Rule(theirs="embedding/kernel", ours="patch_embed/kernel", op=conv),
    table.Rule(theirs="embedding/bias", ours="patch_embed/bias"),
    table.Rule(theirs="cls", ours="cls_token"),
    table.Rule(theirs="image_mask_embedding", ours="mask_token"),
    table.Rule(theirs="pos_embedding", ours="pos_embed"),
    table.Rule(theirs="dec_pos_embedding", ours="decoder_pos_embed"),
    table.Rule(
      theirs="final_conv/kernel", ours="pred/kernel", op=unpatch(*pred)
    ),
    table.Rule(theirs="final_conv/bias", ours="pred/bias", op=repeated(*pred)),
    *same("time_trunk/Dense_0", "time_embed/fc1", *pieces.DENSE),
    *same("time_trunk/Dense_1", "time_embed/fc2", *pieces.DENSE),
    *_blocks("Encoder", "encoder", net, block),
    *_blocks("Decoder", "decoder", net, block),
  ]
  if net.adaln:
    rules += same("final_modulation", "modulation", *pieces.DENSE)
  if net.classes:
    name = "label_emb/embedding/embedding"
    rules.append(table.Rule(theirs=name, ours="label_embed/embedding"))
    rules += same("label_trunk/Dense_0", "label_fc1", *pieces.DENSE)
    rules += same("label_trunk/Dense_1", "label_fc2", *pieces.DENSE)
  return rules


FAMILIES = {
  "umd": family.Family(
    library="authors",
    methods=("diffusion.umd", "diffusion.maskdit"),
    table=family.main(full),
    containers=("params/", ""),
  )
}
