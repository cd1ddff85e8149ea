"""What the autoencoders of clips share: residual blocks, by level and name."""

from collections.abc import Callable
from typing import Any
from typing import ClassVar

import flax.linen as nn
import jax

from jmim.core import runtime
from jmim.nn import causal_conv
from jmim.nn import conv
from jmim.nn import stack
from jmim.nn.nets import video_sizes


class Block(nn.Module, kw_only=True):
  """Norm SiLU conv norm SiLU conv, plus the input.

  Attributes:
    width: output channels; another than the input's: a linear map beside.
    norm: makes a norm, from the keyword argument `name`.
    front: of the convolutions, see `causal_conv.CausalConv`.
    rt: execution choices.
  """

  width: int
  norm: Callable[..., Callable[..., jax.Array]]
  front: str = "zeros"
  rt: runtime.Runtime = runtime.Runtime()

  @nn.compact
  def __call__(self, x: jax.Array, *told: jax.Array | None) -> jax.Array:
    """[b, t, h, w, c] -> [b, t, h, w, width]; told: of the norms."""
    y = x
    for i in (1, 2):
      y = nn.silu(self.norm(name=f"norm{i}")(y, *told))
      y = causal_conv.CausalConv(
        width=self.width, front=self.front, rt=self.rt, name=f"conv{i}"
      )(y)
    if x.shape[-1] != self.width:
      x = conv.conv1(self.rt, self.width, "skip")(x)
    return self.rt.shard(x + y)


class Levels(nn.Module, kw_only=True):
  """Blocks of the levels; a layout says which norms, and what is in front.

  Attributes:
    size: of the autoencoder.
    rt: execution choices.
  """

  size: video_sizes.Size
  rt: runtime.Runtime = runtime.Runtime()
  front: ClassVar[str] = "zeros"

  @property
  def norm(self) -> Callable[..., Callable[..., jax.Array]]:
    """Makes a norm, from the keyword argument `name`."""
    raise NotImplementedError

  def block(self, width: int, name: str) -> nn.Module:
    """A residual block, computed again in the backward pass if `rt` asks."""
    cls, rt = Block, self.rt
    if rt.remat != "none":
      cls = nn.remat(Block, policy=stack.policy(rt))
    return cls(width=width, norm=self.norm, front=self.front, rt=rt, name=name)

  def blocks(
    self, y: jax.Array, stem: str, *told: jax.Array | None, level: int, n: int
  ) -> jax.Array:
    """n residual blocks of a level; told: of the norms."""
    width = self.size.multipliers[level] * self.size.width
    for i in range(n):
      y = self.block(width, f"{stem}{level}_{i}")(y, *told)
    return y

  def conv(self, width: int, name: str, **more: Any) -> causal_conv.CausalConv:
    """A causal convolution, by default 3 x 3 x 3."""
    return causal_conv.CausalConv(
      width=width, front=self.front, rt=self.rt, name=name, **more
    )

  def flat_conv(self, width: int, name: str, **more: Any) -> nn.Module:
    """A 3 x 3 convolution of frames."""
    kernel = {"kernel_init": conv.TORCH}
    return conv.conv3(self.rt, width, name, **kernel, **more)

  def normed_out(self, y: jax.Array, *told: jax.Array | None) -> jax.Array:
    """SiLU of the last norm."""
    return nn.silu(self.norm(name="norm_out")(y, *told))
