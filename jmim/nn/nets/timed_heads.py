"""Heads that judge features of a frozen network and are told the time.

He et al. 2024 (LearningHx/TAD-SR@8b0373f), after StyleGAN-T's heads (Sauer et
al. 2023). Convolutions marked in SPECTRAL are divided by their spectral norm
(`nn.spectral`) by whoever applies them.
"""

from collections.abc import Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp

from jmim.core import runtime
from jmim.nn import conv
from jmim.nn import posemb

GROUPS = 4  # of the norms between the convolutions along the places
LEAK = 0.2
REACH = 9  # places that the inner convolution sees, around the map's end
SPECTRAL = ("first", "inner", "out")


def spectral(name: str) -> bool:
  """Whether the kernel of that name ("head0/first/kernel") is normalised."""
  return name.split("/")[-2] in SPECTRAL


class Head(nn.Module, kw_only=True):
  """GN (1 + scale(t)) + shift(t), SiLU, 3 x 3, then along all places in a row.

  Attributes:
    out: channels of the logits.
    groups: of the first norm.
    waves: numbers of the sinusoid of the time.
    timed: whether it is told the time.
    rt: execution choices.
  """

  out: int
  groups: int
  waves: int
  timed: bool = True
  rt: runtime.Runtime = runtime.Runtime()

  @nn.compact
  def __call__(self, x: jax.Array, t: jax.Array) -> jax.Array:
    """Features [b, h, w, c] at times [b] -> logits [b, h w, out] float32."""
    rt, (b, _, _, width) = self.rt, x.shape
    y = conv.group_norm(rt, self.groups, "norm")(x)
    if self.timed:
      wave = posemb.sinusoid(t, self.waves).astype(rt.dtype)
      told = nn.Dense(2 * width, dtype=rt.dtype, name="time")(nn.silu(wave))
      scale, shift = jnp.split(told[:, None, None], 2, axis=-1)
      y = y * (1 + scale) + shift
    y = conv.conv3(rt, width, "conv", zero=True)(nn.silu(y))
    y = rt.shard(y.reshape(b, -1, width))
    y = self._normed(self._along(y, width, "first"), 0)
    inner = self._normed(self._along(y, width, "inner", REACH), 1)
    y = (inner + y) * 2**-0.5
    return self._along(y, self.out, "out").astype(jnp.float32)

  def _along(self, x, width, name, reach=1):
    layer = nn.Conv(
      width, (reach,), padding="CIRCULAR", dtype=self.rt.dtype, name=name
    )
    return layer(x)

  def _normed(self, x, i):
    norm = conv.group_norm(self.rt, GROUPS, f"norm{i}")
    return nn.leaky_relu(norm(x), LEAK)


class Heads(nn.Module, kw_only=True):
  """One head for each map of features; see `Head` for the attributes."""

  out: int
  groups: int
  waves: int
  timed: bool = True
  rt: runtime.Runtime = runtime.Runtime()

  @nn.compact
  def __call__(
    self, features: Sequence[jax.Array], t: jax.Array
  ) -> list[jax.Array]:
    """Maps [b, h, w, c] at times t [b] -> logits [b, h w, out] of each."""
    fields = ("out", "groups", "waves", "timed", "rt")
    options = {name: getattr(self, name) for name in fields}
    return [
      Head(**options, name=f"head{i}")(x, t) for i, x in enumerate(features)
    ]
