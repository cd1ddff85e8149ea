"""Names of a UNet of Diffusers: conditional (UNet2DConditionModel) or not.

Its blocks count levels going up from the coarsest. Our names have no prefix.
"""

import functools
from collections.abc import Callable

from jmim.convert import ops
from jmim.convert import pieces
from jmim.convert import table
from jmim.convert.tables import _unet_layers as layers
from jmim.nn.nets import unet

# The first and last map of a transformer are convolutions, or linear maps: both
# are read, and either is written.
_read = lambda x: x.reshape(x.shape[:2]).T
POINT = ops.Op(_read, ops.POINT.to_theirs)
LINEAR = ops.Op(_read, ops.LINEAR.to_theirs)


def res(theirs: str, ours: str, skip: bool) -> pieces.Table:
  """A residual block; `skip`: with a convolution beside it."""
  rules: pieces.Table = []
  for i in (1, 2):
    rules += pieces.norm(f"{theirs}.norm{i}", f"{ours}/norm{i}")
    rules += pieces.dense(f"{theirs}.conv{i}", f"{ours}/conv{i}", op=ops.CONV)
  rules += pieces.dense(f"{theirs}.time_emb_proj", f"{ours}/time")
  if skip:
    name = f"{theirs}.conv_shortcut"
    rules += pieces.dense(name, f"{ours}/skip", op=ops.CONV)
  return rules


def transformer(
  theirs: str, ours: str, depth: int, linear: bool
) -> pieces.Table:
  """Transformer2DModel.

  Args:
    theirs: name of the layer.
    ours: name of the layer.
    depth: blocks.
    linear: how its first and last map are written, see `network`.
  """
  rules = pieces.norm(f"{theirs}.norm", f"{ours}/norm")
  for name in ("proj_in", "proj_out"):
    op = LINEAR if linear else POINT
    rules += pieces.dense(f"{theirs}.{name}", f"{ours}/{name}", op=op)
  for i in range(depth):
    block = f"{theirs}.transformer_blocks.{i}."
    rules += layers.block(block, f"{ours}/", f"_{i}")
  return rules


def attention(theirs: str, ours: str) -> pieces.Table:
  """Attention of a UNet2DModel: q, k and v apart there."""
  qkv = [f"{theirs}.to_{x}" for x in "qkv"]
  return [
    *pieces.norm(f"{theirs}.group_norm", f"{ours}/norm"),
    *pieces.fused(qkv, f"{ours}/attn/qkv"),
    *pieces.dense(f"{theirs}.to_out.0", f"{ours}/attn/proj"),
  ]


def network(
  net: unet.UNet, linear: bool = False, labels: ops.Op = ops.SAME
) -> pieces.Table:
  """The whole UNet; our names without a prefix.

  Args:
    net: the network.
    linear: the maps around transformers are written as linear ones, not as
      convolutions.
    labels: of the table of labels.
  """
  names = _Names(net, linear)
  rules = pieces.dense("time_embedding.linear_1", "time_embed/fc1")
  rules += pieces.dense("time_embedding.linear_2", "time_embed/fc2")
  if net.classes:
    ours, theirs = "label_embed/embedding", "class_embedding.weight"
    rules.append(table.Rule(theirs=theirs, ours=ours, op=labels))
  rules += pieces.dense("conv_in", "conv_in", op=ops.CONV)
  widths = [times * net.width for times in net.multipliers]
  skips, width = [net.stem], net.stem
  for level, new in enumerate(widths):
    for i in range(net.blocks_at[level]):
      rules += names.stage("down", level, i, skip=width != new)
      width = new
      skips.append(width)
    if level + 1 < len(widths):
      rules += names.change("down", level)
      skips.append(width)
  for i in (0, 1):
    rules += res(f"mid_block.resnets.{i}", f"middle_{i}", False)
  rules += names.attention("mid_block", 0, "middle_attention", level=-1)
  for level, new in reversed(list(enumerate(widths))):
    for i in range(net.blocks_at[level] + 1):
      skip = width + skips.pop() != new
      rules += names.stage("up", level, i, skip=skip)
      width = new
    if level:
      rules += names.change("up", level)
  rules += pieces.norm("conv_norm_out", "norm_out")
  return rules + pieces.dense("conv_out", "conv_out", op=ops.CONV)


class _Names:
  """Rules of what the levels of one network have."""

  def __init__(self, net: unet.UNet, linear: bool):
    self.net, self.linear = net, linear

  def one(self, level: int) -> Callable[[str, str], pieces.Table]:
    """Rules of one layer of a level, of their name and ours."""
    depth = self.net.depth_at(level)
    own = {"depth": depth, "linear": self.linear}
    return functools.partial(transformer, **own) if depth else attention

  def attention(
    self, block: str, i: int, ours: str, *, level: int
  ) -> pieces.Table:
    """What follows residual block i; of each context where there are several.

    Of several contexts the authors of DiffSTE put the name before the number.
    """
    contexts, one = self.net.contexts, self.one(level)
    if len(contexts) < 2:
      return one(f"{block}.attentions.{i}", ours)
    rules: pieces.Table = []
    for name, _ in contexts:
      rules += one(f"{block}.attentions.{name}.{i}", f"{ours}/{name}")
    return rules

  def stage(self, side: str, level: int, i: int, *, skip: bool) -> pieces.Table:
    """Residual block i of a level and, at some, attention."""
    theirs, ours = self._block(side, level), f"{side}{level}_{i}"
    rules = res(f"{theirs}.resnets.{i}", ours, skip)
    if self.net.attends(level, i):
      rules += self.attention(theirs, i, f"{ours}_attention", level=level)
    return rules

  def change(self, side: str, level: int) -> pieces.Table:
    """What changes the side after a level."""
    theirs = f"{self._block(side, level)}.{side}samplers.0"
    if self.net.updown:
      how = {"down": "half", "up": "twice"}[side]
      return res(theirs, f"{side}{level}_{how}", False)
    return pieces.dense(f"{theirs}.conv", f"{side}{level}_conv", op=ops.CONV)

  def _block(self, side, level):
    at = level if side == "down" else len(self.net.multipliers) - 1 - level
    return f"{side}_blocks.{at}"
