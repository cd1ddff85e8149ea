"""Names of a UNet (CompVis/latent-diffusion, guided-diffusion) and a branch.

They count what goes down ("input_blocks") and up ("output_blocks") in one row
each, resampling included in the former. Our names have no prefix.
"""

from jmim.convert import ops
from jmim.convert import pieces
from jmim.convert import table
from jmim.convert.tables import _unet_layers as layers
from jmim.nn import unet as nets


def network(net: nets.Layers, by_head: bool = True) -> pieces.Table:
  """The whole UNet, without what a code vector adds to the time.

  Args:
    net: the network.
    by_head: q, k and v of self-attention are dealt out head by head, as in all
      published weights; else (`use_new_attention_order`) q of all heads first.
  """
  rules = pieces.dense("time_embed.0", "time_embed/fc1")
  rules += pieces.dense("time_embed.2", "time_embed/fc2")
  if net.classes:
    name = "label_embed/embedding"
    rules.append(table.Rule(theirs="label_emb.weight", ours=name))
  rules += pieces.dense("input_blocks.0.0", "conv_in", op=ops.CONV)
  for at, (width, (level, i)) in enumerate(_downward(net)):
    where, ours = f"input_blocks.{at + 1}", f"down{level}"
    if i is None:
      rules += _resample(net, f"{where}.0", "op", ours=ours, how="half")
    else:
      stage = dict(level=level, i=i, by_head=by_head)
      rules += _stage(net, where, f"{ours}_{i}", width, **stage)
  return rules + _rest(net, by_head)


def branch(net: nets.Layers, by_head: bool = True) -> pieces.Table:
  """PDAE's second middle, way up and head, and its embedding of the code.

  Args:
    net: the branch.
    by_head: see `network`.
  """
  rules = pieces.dense("label_emb", "code_embed")
  return rules + _rest(net, by_head, "shift_")


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


def _rest(net, by_head, prefix=""):
  """Middle, way up (coarsest level first) and head; `prefix` of theirs."""
  code, middle = net.code == "scale", f"{prefix}middle_block"
  width = net.multipliers[-1] * net.width
  heads = net.heads_at(-1) * by_head
  rules = [
    *layers.res(f"{middle}.0", "middle_0", False, code),
    *layers.attention(
      net.transformer, heads, f"{middle}.1", "middle_attention"
    ),
    *layers.res(f"{middle}.2", "middle_1", False, code),
  ]
  # Each block going up reads one of these too; the last is what was read last.
  skips = [w for w, _ in _downward(net)] + [width]
  at = 0
  for level, blocks in reversed(list(enumerate(net.blocks_at))):
    for i in range(blocks + 1):
      theirs, ours = f"{prefix}output_blocks.{at}", f"up{level}"
      stage = dict(level=level, i=i, by_head=by_head)
      read = width + skips.pop()
      rules += _stage(net, theirs, f"{ours}_{i}", read, up=True, **stage)
      at, width = at + 1, net.multipliers[level] * net.width
      if level and i == blocks:  # resampling comes last in its block
        where = f"{theirs}.{1 + net.attends(level, i)}"
        rules += _resample(net, where, "conv", ours=ours, how="twice")
  rules += pieces.norm(f"{prefix}out.0", "norm_out")
  return rules + pieces.dense(f"{prefix}out.2", "conv_out", op=ops.CONV)


def _stage(net, theirs, ours, read, *, level, i, by_head, up=False):
  """A residual block that reads so many channels, maybe with attention."""
  width = net.multipliers[level] * net.width
  rules = layers.res(f"{theirs}.0", ours, read != width, net.code == "scale")
  if not net.attends(level, i):
    return rules
  heads = net.heads_at(level, up) * by_head
  name = f"{ours}_attention"
  return rules + layers.attention(net.transformer, heads, f"{theirs}.1", name)


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
    return layers.res(theirs, f"{ours}_{how}", False, net.code == "scale")
  if not net.resample_conv:
    return []
  return pieces.dense(f"{theirs}.{convolution}", f"{ours}_conv", op=ops.CONV)
