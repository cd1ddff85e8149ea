"""Networks on vectors: noise from a noisy vector, its time and a condition.

The residual MLP of Martinez et al. 2017 as bastianwandt/DiffPose@7750c9f has
it, without normalisation:

    h = W0 [x, t, c];   h <- h + leaky(W2 leaky(W1 h)), again and again;   W h

The time goes in as the number it is, and nothing follows the first map, which
is computed in float32: coordinates and times are no activations.
"""

import dataclasses

import flax.linen as nn
import jax
import jax.numpy as jnp

from jmim.core import runtime
from jmim.nn import conv
from jmim.nn import dense

LEAK = 0.01  # slope of torch's leaky ReLU


def _linear(rt, width, name):
  return dense.dense(rt, width, kernel_init=conv.TORCH, name=name)


class Residual(nn.Module):
  """h + leaky(W2 leaky(W1 h)).

  Attributes:
    rt: execution choices.
  """

  rt: runtime.Runtime = runtime.Runtime()

  @nn.compact
  def __call__(self, h: jax.Array) -> jax.Array:
    """[..., w] -> [..., w]."""
    y = h
    for name in ("fc1", "fc2"):
      y = _linear(self.rt, h.shape[-1], name)(y)
      y = nn.leaky_relu(y, negative_slope=LEAK)
    return self.rt.shard(h + y)


class VectorNet(nn.Module, kw_only=True):
  """Vectors of any width to vectors.

  Attributes:
    out: numbers of a result.
    width: of the hidden layers.
    blocks: residual blocks.
    rt: execution choices.
  """

  out: int
  width: int = 1024
  blocks: int = 2
  rt: runtime.Runtime = runtime.Runtime()

  @nn.compact
  def __call__(self, x: jax.Array, t: jax.Array, c: jax.Array) -> jax.Array:
    """[..., out] float32.

    Args:
      x: [..., d] vectors.
      t: [...] times.
      c: [..., e] conditions.
    """
    rt = self.rt
    time = t.astype(jnp.float32)[..., None]
    h = jnp.concatenate([x, time, c], axis=-1).astype(jnp.float32)
    exact = dataclasses.replace(rt, dtype=jnp.float32)
    h = _linear(exact, self.width, "embed")(h)
    h = rt.shard(h.astype(rt.dtype))
    for i in range(self.blocks):
      h = Residual(rt, name=f"block{i}")(h)
    return _linear(rt, self.out, "out")(h).astype(jnp.float32)
