"""A network for volumes: Mamba stages and a UNETR decoder (Chen et al. 2025).

    stage i   x <- conv(x), x <- GSC(x), x <- Mixer(LN x) ...   no residual
    level i   Tail(x)
    decoder   residual blocks on the input and all levels, up-sampled one by
              one with skips; the last map is what `out` reads

Every stage halves all axes (the stem has a kernel (1, 7, 7), the others
(1, 2, 2), which skip every other slice), so sides must be multiples of
2^stages, and the tokens of every stage of `slices`.
"""

import dataclasses
import functools
import math

import flax.linen as nn
import jax

from jmim.core import runtime
from jmim.nn import ssm
from jmim.nn import stack
from jmim.nn import unetr

Shape = tuple[int, int, int]
Block = type[nn.Module]
STEM, DOWN = (1, 7, 7), (1, 2, 2)  # kernels


def check(shape: Shape, stages: int, slices: int) -> None:
  """Raises ValueError for a volume that no such network reads.

  Args:
    shape: [d, h, w] of a volume.
    stages: of the network.
    slices: of its mixers.
  """
  unit = 2**stages
  if any(side % unit for side in shape):
    raise ValueError(
      f"a volume of {shape} voxels, whose sides must be multiples of {unit}, "
      f"as {stages} stages (dims.widths) halve them"
    )
  for i in range(1, stages + 1):
    tokens = math.prod(side // 2**i for side in shape)
    if tokens % slices:
      raise ValueError(
        f"{tokens} tokens in stage {i} of a volume of {shape}, which "
        f"dims.slices={slices} must divide"
      )


def recomputed(kind: Block, rt: runtime.Runtime) -> Block:
  """A block of convolutions, computed again in the backward pass if asked.

  At full size their maps are what fills the memory.

  Args:
    kind: class of the block.
    rt: execution choices.
  """
  if rt.remat == "none":
    return kind
  return nn.remat(kind, policy=stack.policy(rt))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Size:
  """Of the stages.

  Attributes:
    widths: of the stages.
    depths: mixers of the stages.
    slices: chunks of the interleaved order.
    states: of the mixers.
    side: steps that their convolutions see.
    expand: channels of their scans over the width.
    rank: of their step sizes; 0: a sixteenth of the width, rounded up.
  """

  widths: tuple[int, ...]
  depths: tuple[int, ...]
  slices: int = 5
  states: int = 16
  side: int = 4
  expand: int = 2
  rank: int = 0


class Encoder(nn.Module, kw_only=True):
  """Stages of convolutions and mixers.

  Attributes:
    size: of the stages.
    rt: execution choices.
  """

  size: Size
  rt: runtime.Runtime = runtime.Runtime()

  @nn.compact
  def __call__(self, x: jax.Array) -> list[jax.Array]:
    """[b, d, h, w, c] -> levels [b, d/2, h/2, w/2, widths[0]], ..."""
    levels = []
    size = self.size
    for i, width in enumerate(size.widths):
      kernel, pad = (DOWN, (0, 0, 0)) if i else (STEM, None)
      x = unetr.instance_norm(x) if i else x
      x = unetr.Conv(
        width=width,
        kernel=kernel,
        stride=2,
        pad=pad,
        rt=self.rt,
        name=f"down{i}",
      )(x)
      gated = recomputed(unetr.Gated, self.rt)
      x = self._mixed(gated(rt=self.rt, name=f"gsc{i}")(x), i)
      levels.append(unetr.Tail(rt=self.rt, name=f"tail{i}")(x))
    return levels

  def _mixed(self, x, i):
    """The mixers of stage i over the tokens in raster order."""
    size, depth = self.size, self.size.depths[i]
    make = functools.partial(
      ssm.Layer,
      slices=size.slices,
      states=size.states,
      side=size.side,
      expand=size.expand,
      rank=size.rank,
      rt=self.rt,
      parent=None,
    )
    flat = x.reshape(len(x), -1, x.shape[-1])
    y, _ = stack.Stack(make, depth, self.rt, name=f"stage{i}")(flat)
    return y.reshape(x.shape)


class Network(nn.Module, kw_only=True):
  """Encoder and decoder: a volume to as large a map.

  Attributes:
    size: of the stages.
    hidden: channels behind the last level.
    out: channels of the output.
    kernel: side of the decoder's kernels in a slice, odd.
    rt: execution choices.
  """

  size: Size
  hidden: int
  out: int = 1
  kernel: int = unetr.SIDE
  rt: runtime.Runtime = runtime.Runtime()

  @nn.compact
  def __call__(self, x: jax.Array) -> dict[str, jax.Array]:
    """[b, d, h, w, c] -> out [b, d, h, w, out], map, levels.

    `map` [b, d, h, w, widths[0]] is what the last layer reads; "level0" ...
    are the encoder's.
    """
    widths = self.size.widths
    levels = Encoder(size=self.size, rt=self.rt, name="encoder")(x)
    made = [x, *levels]
    outs = [*widths, self.hidden]
    residual, up = (
      functools.partial(recomputed(kind, self.rt), side=self.kernel, rt=self.rt)
      for kind in (unetr.Residual, unetr.Up)
    )
    skips = [
      residual(width=width, name=f"skip{i}")(y)
      for i, (y, width) in enumerate(zip(made, outs, strict=True))
    ]
    y = skips.pop()
    for i in reversed(range(len(widths))):
      y = up(width=widths[i], name=f"up{i}")(y, skips[i])
    y = residual(width=widths[0], name="last")(y)
    last = unetr.point(self.rt, self.out, "out", fan_in=widths[0])
    named = {f"level{i}": level for i, level in enumerate(levels)}
    return {"out": last(y), "map": y, **named}


class NextHead(nn.Module, kw_only=True):
  """One token of a whole map: three convolutions and a linear layer.

  The authors call it a Perceiver.

  Attributes:
    voxels: of the token.
    width: channels of the convolutions.
    rt: execution choices.
  """

  voxels: int
  width: int = 12
  rt: runtime.Runtime = runtime.Runtime()

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """[b, d, h, w, 1] -> [b, voxels], before the sigmoid."""
    for i, width in enumerate((self.width, self.width, 1)):
      x = unetr.Conv(width=width, stride=2, rt=self.rt, name=f"conv{i}")(x)
      x = nn.relu(x) if i < 2 else x
    flat = x.reshape(len(x), -1)
    return unetr.point(self.rt, self.voxels, "out", fan_in=flat.shape[1])(flat)
