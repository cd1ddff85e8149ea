"""The Conformer, as ESPnet has it with `normalize_before=False`.

Gulati et al. 2020. Every branch is normalised after its residual sum; the
attention is Transformer-XL's (Dai et al. 2019), with positions by distance:

    x <- LN(x + FF(x) / 2)                                  macaron
    x <- LN(x + attention(x))
    x <- LN(x + conv(x))      GLU, depth-wise, BatchNorm, Swish, linear
    x <- LN(LN(x + FF(x) / 2))
    logits_ij = ((q_i + u) k_j + (q_i + v) P s(i - j)) / sqrt(d)

s is the sinusoid of a distance, u and v are learned, one per head. Before the
first block x is multiplied by the root of its width. BatchNorm: no mean over
examples in training. Biases that change nothing (of keys, before BatchNorm) are
left out.
"""

import dataclasses

import einops
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from jmim.core import field
from jmim.core import runtime
from jmim.nn import attention
from jmim.nn import batchnorm
from jmim.nn import dense
from jmim.nn import dropout
from jmim.nn import norm
from jmim.nn import posemb

Array = jax.Array
EPS = 1e-12  # of ESPnet's LayerNorms
SITES = 8  # places with dropout in a block


@dataclasses.dataclass(frozen=True, kw_only=True)
class Dims:
  """Sizes of Conformers, as a method's config has them."""

  width: int = field.value(512, "width", low=2)
  heads: int = field.value(2, "attention heads", low=1)
  hidden: int = field.value(512, "width inside of the MLPs", low=1)
  kernel: int = field.value(13, "frames of the convolution; odd", low=1)
  dropout: float = field.value(
    0.2, "rate of all branches and inside of MLPs", low=0.0, below=1.0
  )

  def check(self) -> None:
    """Raises ValueError for sizes that do not go together."""
    if self.width % 2 or self.width % self.heads:
      raise ValueError(
        f"width {self.width}: even, and a multiple of {self.heads} heads"
      )
    if not self.kernel % 2:
      raise ValueError(f"kernel {self.kernel}: odd, as much on either side")


class RelativeAttention(nn.Module, kw_only=True):
  """Self-attention that knows distances.

  Attributes:
    heads: attention heads.
    rt: execution choices.
  """

  heads: int
  rt: runtime.Runtime = runtime.Runtime()

  @nn.compact
  def __call__(self, x: Array) -> Array:
    """[b, t, w] -> [b, t, w]."""
    rt, (t, width) = self.rt, x.shape[1:]
    linear = lambda name, bias=True: dense.dense(
      rt, width, use_bias=bias, name=name
    )
    split = lambda y: einops.rearrange(
      y, "... t (h d) -> ... h t d", h=self.heads
    )
    # A bias of k would be the same for all keys, which the softmax forgets.
    q, k, v = (split(linear(name, name != "k")(x)) for name in "qkv")
    # Distances t - 1 .. -(t - 1): of query i and key j row t - 1 - (i - j).
    table = posemb.sincos_1d(np.arange(t - 1, -t, -1), width)
    table = einops.rearrange(table, "n (two w) -> n (w two)", two=2)
    far = split(linear("position", False)(jnp.asarray(table, rt.dtype)))
    start = nn.initializers.xavier_uniform()
    shape = (self.heads, width // self.heads)
    to_key, to_far = (
      self.param(name, start, shape)[:, None].astype(q.dtype)
      for name in ("to_key", "to_far")
    )
    logits = jnp.einsum(
      "bhtd,hnd->bhtn", q + to_far, far, preferred_element_type=jnp.float32
    )
    bias = _shifted(logits) * shape[1] ** -0.5
    y = attention.Attend(rt=rt, name="attend")(q + to_key, k, v, bias=bias)
    return linear("proj")(einops.rearrange(y, "b h t d -> b t (h d)"))


def _shifted(logits: Array) -> Array:
  """[b, h, t, t] of [b, h, t, 2 t - 1]: row i begins at t - 1 - i."""
  t = logits.shape[2]
  rows = jnp.arange(t)
  index = t - 1 - (rows[:, None] - rows[None])
  return jnp.take_along_axis(logits, index[None, None], axis=3)


class Convolution(nn.Module, kw_only=True):
  """Linear, GLU, depth-wise convolution, BatchNorm, Swish, linear.

  Attributes:
    kernel: frames that it sees; odd.
    rt: execution choices.
  """

  kernel: int
  rt: runtime.Runtime = runtime.Runtime()

  @nn.compact
  def __call__(self, x: Array, train: bool) -> Array:
    """[b, t, w] -> [b, t, w]; `train`: see `batchnorm.BatchNorm`."""
    rt, width = self.rt, x.shape[-1]
    y = nn.glu(dense.dense(rt, 2 * width, name="expand")(x))
    y = nn.Conv(
      width,
      (self.kernel,),
      feature_group_count=width,
      use_bias=False,  # BatchNorm would take it off again
      dtype=rt.dtype,
      name="depthwise",
    )(y)
    y = nn.swish(batchnorm.BatchNorm(rt=rt, name="bn")(y, train))
    return dense.dense(rt, width, name="proj")(y)


class Block(nn.Module, kw_only=True):
  """One block.

  Attributes:
    dims: sizes.
    index: which one it is, for the places of dropout.
    rt: execution choices.
  """

  dims: Dims
  index: int = 0
  rt: runtime.Runtime = runtime.Runtime()

  @nn.compact
  def __call__(self, x: Array, keys: Array | None, train: bool) -> Array:
    """[b, t, w] -> [b, t, w].

    Args:
      x: frames.
      keys: [b, 2] key data of dropout; None: there is none.
      train: see `batchnorm.BatchNorm`.
    """
    rt, dims = self.rt, self.dims
    drop = lambda y, site: dropout.dropout(
      y, keys, dims.dropout, SITES * (1 + self.index) + site
    )
    named = lambda name: norm.layer_norm(rt, name, EPS)

    def mlp(name, site):
      y = nn.swish(dense.dense(rt, dims.hidden, name=f"{name}_fc1")(x))
      return dense.dense(rt, dims.width, name=f"{name}_fc2")(drop(y, site))

    x = named("norm_macaron")(x + 0.5 * drop(mlp("macaron", 0), 1))
    attend = RelativeAttention(heads=dims.heads, rt=rt, name="attention")
    x = named("norm_attention")(x + drop(attend(x), 2))
    convolve = Convolution(kernel=dims.kernel, rt=rt, name="convolution")
    x = named("norm_convolution")(x + drop(convolve(x, train), 3))
    x = named("norm_mlp")(x + 0.5 * drop(mlp("mlp", 4), 5))
    return rt.shard(named("norm_out")(x))


class Conformer(nn.Module, kw_only=True):
  """Blocks one after the other; each has parameters of its own name.

  Attributes:
    dims: sizes.
    depth: blocks.
    first: number of the first block, where several networks share keys.
    rt: execution choices.
  """

  dims: Dims
  depth: int
  first: int = 0
  rt: runtime.Runtime = runtime.Runtime()

  @nn.compact
  def __call__(self, x: Array, keys: Array | None, train: bool) -> Array:
    """[b, t, w] -> [b, t, w] of any number of frames; see `Block`."""
    x, site = x * self.dims.width**0.5, SITES * (1 + self.first) - 1
    x = dropout.dropout(x, keys, self.dims.dropout, site)
    for i in range(self.depth):
      at = self.first + i
      block = Block(dims=self.dims, index=at, rt=self.rt, name=f"block_{i}")
      x = block(x, keys, train)
    return x
