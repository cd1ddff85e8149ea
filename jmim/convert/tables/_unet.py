"""Names of a UNet (CompVis/latent-diffusion, guided-diffusion) and a branch.

They count what goes down ("input_blocks") and up ("output_blocks") in one row
each, resampling included in the former. Our names have no prefix.
"""

from collections.abc import Callable

import numpy as np

from jmim.convert import ops
from jmim.convert import pieces
from jmim.convert import table
from jmim.convert.tables import _unet_layers as layers
from jmim.nn import unet as nets
from jmim.nn.nets import unet

# (their layer, ours, attention heads) -> names of what is inside.
Attend = Callable[[str, str, int], pieces.Table]
# A table of labels without the row of "no label", which is 0 here then.
LABELS = ops.Op(
  lambda x: np.concatenate([x, np.zeros_like(x[:1])]), lambda x: x[:-1]
)


def objection(dims: unet.Dims) -> str | None:
  """What their UNet cannot be."""
  if not isinstance(dims, unet.Dims):
    return "the network is a UNet there (dims.type)"
  if dims.attend_first:
    return "every block of a level has attention, or none (dims.attend_first)"
  if dims.time_order != "cos_sin" or dims.time_inclusive:
    return "dims.time_order is cos_sin, and dims.time_inclusive False, there"
  if dims.norm_eps != 1e-5 or dims.late_pad:
    return "dims.norm_eps is 1e-5, and dims.late_pad False, there"
  return None


def network(
  net: nets.Layers,
  by_head: bool = True,
  labels: ops.Op = ops.SAME,
  mixer: Attend | None = None,
  linear: bool = False,
) -> pieces.Table:
  """The whole UNet, without what a code vector adds to the time.

  Args:
    net: the network.
    by_head: q, k and v of self-attention are dealt out head by head, as in all
      published weights; else (`use_new_attention_order`) q of all heads first.
    labels: of their table, which may have no row for "no label", see `LABELS`.
    mixer: names of what stands where attention does; None: of attention.
    linear: see `_unet_layers.attention`.
  """
  attend = mixer or _attention(net, by_head, linear)
  rules = pieces.dense("time_embed.0", "time_embed/fc1")
  rules += pieces.dense("time_embed.2", "time_embed/fc2")
  if net.classes:
    name = "label_embed/embedding"
    rules.append(table.Rule(theirs="label_emb.weight", ours=name, op=labels))
  return rules + _way_down(net, attend) + _rest(net, attend)


def encoder(net: nets.Layers, by_head: bool = True) -> pieces.Table:
  """The way down and the middle alone, which are told nothing.

  Args:
    net: of `nets.semantic_encoder`.
    by_head: see `network`.
  """
  attend = _attention(net, by_head)
  return _way_down(net, attend) + _middle(net, attend)


def _way_down(net, attend):
  """First convolution, and all levels, finest first."""
  rules = pieces.dense("input_blocks.0.0", "conv_in", op=ops.CONV)
  for at, (width, (level, i)) in enumerate(_downward(net)):
    where, ours = f"input_blocks.{at + 1}", f"down{level}"
    if i is None:
      rules += _resample(net, f"{where}.0", "op", ours=ours, how="half")
    else:
      stage = dict(level=level, i=i, attend=attend)
      rules += _stage(net, where, f"{ours}_{i}", width, **stage)
  return rules


def branch(net: nets.Layers, by_head: bool = True) -> pieces.Table:
  """PDAE's second middle, way up and head, and its embedding of the code.

  Args:
    net: the branch.
    by_head: see `network`.
  """
  rules = pieces.dense("label_emb", "code_embed")
  return rules + _rest(net, _attention(net, by_head), "shift_")


def _attention(net, by_head, linear=False):
  """Names of self-attention, or of a transformer."""
  return lambda theirs, ours, heads: layers.attention(
    net.transformer, heads * by_head, theirs, ours, linear=linear
  )


def _downward(net):
  """Of each input block but the first: (width read, (level, i or None)).

  i is None where the side changes.
  """
  found, width = [], net.stem
  for level, blocks in enumerate(net.blocks_at):
    for i in range(blocks):
      found.append((width, (level, i)))
      width = net.multipliers[level] * net.width
    if level + 1 < len(net.multipliers):
      found.append((width, (level, None)))
  return found


def _res(net, theirs, ours, skip):
  """A residual block, told what the network tells its blocks."""
  return layers.res(theirs, ours, skip, net.code, single=net.single)


def _middle(net, attend, prefix=""):
  middle = f"{prefix}middle_block"
  return [
    *_res(net, f"{middle}.0", "middle_0", False),
    *attend(f"{middle}.1", "middle_attention", net.heads_at(-1)),
    *_res(net, f"{middle}.2", "middle_1", False),
  ]


def _rest(net, attend, prefix=""):
  """Middle, way up (coarsest level first) and head; `prefix` of theirs."""
  rules = _middle(net, attend, prefix)
  width = net.multipliers[-1] * net.width
  # Each block going up reads one of these too; the last is what was read last.
  skips = [w for w, _ in _downward(net)] + [width]
  at = 0
  for level, blocks in reversed(list(enumerate(net.blocks_at))):
    for i in range(blocks + 1):
      theirs, ours = f"{prefix}output_blocks.{at}", f"up{level}"
      stage = dict(level=level, i=i, attend=attend)
      read = width + skips.pop()
      rules += _stage(net, theirs, f"{ours}_{i}", read, up=True, **stage)
      at, width = at + 1, net.multipliers[level] * net.width
      if level and i == blocks:  # resampling comes last in its block
        where = f"{theirs}.{1 + net.attends(level, i)}"
        rules += _resample(net, where, "conv", ours=ours, how="twice")
  rules += pieces.norm(f"{prefix}out.0", "norm_out")
  return rules + pieces.dense(f"{prefix}out.2", "conv_out", op=ops.CONV)


def _stage(net, theirs, ours, read, *, level, i, attend, up=False):
  """A residual block that reads so many channels, maybe with attention."""
  width = net.multipliers[level] * net.width
  rules = _res(net, f"{theirs}.0", ours, read != width)
  if not net.attends(level, i):
    return rules
  heads = net.heads_at(level, up)
  return rules + attend(f"{theirs}.1", f"{ours}_attention", heads)


def _resample(net, theirs, convolution, *, ours, how):
  """Between two levels; without convolutions there is nothing to convert.

  Args:
    net: the network.
    theirs: name of the block.
    convolution: name of a convolution in it.
    ours: name of the level.
    how: "half" or "twice".
  """
  if net.updown:
    return _res(net, theirs, f"{ours}_{how}", False)
  if not net.resample_conv:
    return []
  return pieces.dense(f"{theirs}.{convolution}", f"{ours}_conv", op=ops.CONV)
