"""Masked convolution stages (Gao et al. 2022, MCMAE).

Letters: b batch, h w grid, n tokens, c width.
"""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp

from jmim.core import runtime
from jmim.nn import conv
from jmim.nn import dense
from jmim.nn import depthwise
from jmim.nn import norm
from jmim.nn import patch as patching
from jmim.nn import recompute
from jmim.nn import stack

# Of the LayerNorms here; those of transformers have 1e-6.
EPS = 1e-5
KERNEL = 5


def linear(
  rt: runtime.Runtime, width: int, fan_in: int, name: str | None
) -> nn.Dense:
  """A convolution of side 1, or with stride = kernel, as torch starts it.

  Args:
    rt: execution choices.
    width: of the output.
    fan_in: numbers of a patch.
    name: of the module; None where `setup` names it.
  """
  return dense.dense(
    rt,
    width,
    kernel_init=conv.TORCH,
    bias_init=patching.conv_bias_init(fan_in),
    name=name,
  )


def visible(keep: jax.Array, grid: tuple[int, int], cells: int) -> jax.Array:
  """[b, h*cells, w*cells, 1] bool: tokens by replication on a finer grid.

  Args:
    keep: [b, k] int32, the visible tokens.
    grid: (h, w) in tokens.
    cells: places of the finer grid per token and axis.
  """
  n = grid[0] * grid[1]
  seen = (keep[:, :, None] == jnp.arange(n)).any(1)
  return patching.pixels(seen, cells, grid)


class Embed(nn.Module, kw_only=True):
  """Linear map of patches, LayerNorm, GELU (and a linear layer).

  Attributes:
    width: of the output.
    linear: the linear layer follows (last stage), and the map of the patches
      starts as Xavier has it.
    rt: execution choices.
  """

  width: int
  linear: bool = False
  rt: runtime.Runtime = runtime.Runtime()

  @nn.compact
  def __call__(self, patches: jax.Array) -> jax.Array:
    """[b, n, p*p*c] -> [b, n, width]."""
    fan_in = patches.shape[-1]
    if self.linear:
      proj = patching.projection(self.width, fan_in, self.rt)
    else:
      proj = linear(self.rt, self.width, fan_in, "proj")
    y = norm.layer_norm(self.rt, "norm", EPS)(proj(self.rt.shard(patches)))
    y = recompute.gelu(y)
    if not self.linear:
      return y
    init = nn.initializers.xavier_uniform()
    return dense.dense(self.rt, self.width, kernel_init=init, name="linear")(y)


class ConvBlock(nn.Module, kw_only=True):
  """x + s1 c2(dw(m c1(LN x))), then x + s2 MLP(LN x).

  c1, c2 and the two layers of the MLP are convolutions of side 1, dw is a
  depth-wise one of side 5. The mask m multiplies before dw alone.

  Attributes:
    mlp_ratio: hidden width of the MLP over the width.
    rt: execution choices.
  """

  mlp_ratio: float = 4.0
  rt: runtime.Runtime = runtime.Runtime()

  @nn.compact
  def __call__(
    self,
    x: jax.Array,
    *,
    visible: jax.Array | None = None,
    drop: jax.Array | None = None,
  ) -> tuple[jax.Array, dict[str, jax.Array]]:
    """[b, h, w, c] -> [b, h, w, c], and no taps.

    Args:
      x: feature map.
      visible: [b, h, w, 1] bool, False = hidden; None: all are visible.
      drop: [2, b] factors of the two branches.
    """
    width = x.shape[-1]
    hidden = int(width * self.mlp_ratio)

    def scaled(y, branch):
      if drop is None:
        return y
      return y * drop[branch][:, None, None, None].astype(y.dtype)

    def point(y, features, name):
      return linear(self.rt, features, y.shape[-1], name)(y)

    y = norm.layer_norm(self.rt, "norm1", EPS)(x)
    y = point(y, width, "conv1")
    if visible is not None:
      y = jnp.where(visible, y, 0)
    y = depthwise.Depthwise(
      side=KERNEL,
      kernel_init=conv.TORCH,
      bias_init=patching.conv_bias_init(KERNEL**2),
      rt=self.rt,
      name="depthwise",
    )(y)
    x = self.rt.shard(x + scaled(point(y, width, "conv2"), 0))
    y = norm.layer_norm(self.rt, "norm2", EPS)(x)
    y = recompute.gelu(point(y, hidden, "fc1"))
    return self.rt.shard(x + scaled(point(y, width, "fc2"), 1)), {}


class ConvStage(nn.Module, kw_only=True):
  """Patch embedding and convolution blocks.

  Attributes:
    width: of the stage.
    depth: number of blocks.
    stride: of the embedding.
    mlp_ratio: hidden width of the MLPs over the width.
    rt: execution choices.
  """

  width: int
  depth: int
  stride: int
  mlp_ratio: float
  rt: runtime.Runtime = runtime.Runtime()

  @nn.compact
  def __call__(
    self,
    x: jax.Array,
    visible: jax.Array | None = None,
    drop: jax.Array | None = None,
  ) -> jax.Array:
    """[b, h*s, w*s, c] -> [b, h, w, width].

    Args:
      x: images, or the map of the stage before.
      visible: [b, h, w, 1] bool, see `ConvBlock`.
      drop: [depth, 2, b] drop-path factors.
    """
    grid = tuple(side // self.stride for side in x.shape[1:3])
    embed = Embed(width=self.width, rt=self.rt, name="patch_embed")
    x = patching.to_grid(embed(patching.patchify(x, self.stride)), grid)
    make = functools.partial(
      ConvBlock, mlp_ratio=self.mlp_ratio, rt=self.rt, parent=None
    )
    more = {} if visible is None else {"visible": visible}
    x, _ = stack.Stack(make, self.depth, self.rt, name="blocks")(
      self.rt.shard(x), per_layer={} if drop is None else {"drop": drop}, **more
    )
    return x
