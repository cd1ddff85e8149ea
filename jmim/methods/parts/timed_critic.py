"""A critic on the features of a frozen UNet, told the time of the noise.

He et al. 2024 (LearningHx/TAD-SR@8b0373f). With f the features at a time t of
noised states, real and made, and D the heads on them,

    loss_D = mean relu(1 - D(f, t)) + mean relu(1 + D(f', t))
    loss_G = -weight mean D(f', t)

The heads' convolutions along the places have a spectral norm.
"""

import dataclasses
from collections.abc import Callable
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import randomness
from jmim.core import runtime
from jmim.methods.parts import residual
from jmim.nn import spectral
from jmim.nn import unet as layers
from jmim.nn.nets import discriminator as critics
from jmim.nn.nets import timed_heads
from jmim.nn.nets import unet

Array = jax.Array
# (states, times [b]) -> what is inside of a UNet that reads them.
Inside = Callable[[Array, Array], layers.Taps]


@dataclasses.dataclass(frozen=True, kw_only=True)
class TimedCritic:
  """Which features, the heads on them, and their weight."""

  weight: float = field.value(0.02, "weight of the generator's loss", low=0.0)
  taps: tuple = field.value(
    (3, 6, 9, 11),
    "maps of the way down that heads read, 0 the first convolution's; the "
    "middle's is always read",
  )
  waves: int = field.value(
    0, "numbers of the sinusoid of a time; 0: dims.width", low=0
  )
  out: int = field.value(64, "channels of the logits of a head", low=1)
  timed: bool = field.value(True, "heads are told the time")
  noise: str = field.value(
    "gauss",
    "noise on what is judged; uniform in 0 .. 1: as released",
    choices=tuple(residual.NOISES),
  )
  rt: runtime.Runtime = field.runtime()

  def heads(self, dims: unet.Dims) -> timed_heads.Heads:
    """The heads on features of a UNet of these dimensions."""
    return timed_heads.Heads(
      out=self.out,
      groups=dims.norm_groups,
      waves=self.waves or dims.width,
      timed=self.timed,
      rt=self.rt,
    )

  def check(self, dims: unet.Dims) -> None:
    """Raises ValueError for maps that there are not."""
    levels = dims.level_blocks or (dims.blocks,) * len(dims.multipliers)
    count = sum(levels) + len(levels)
    if not all(0 <= tap < count for tap in self.taps):
      raise ValueError(f"critic.taps={self.taps}: of 0 .. {count - 1}")
    widths = [dims.width * times for times in dims.multipliers]
    if any(width % timed_heads.GROUPS for width in widths):
      raise ValueError(
        f"dims.width={dims.width}: widths {widths} of maps that heads read "
        f"must divide by {timed_heads.GROUPS}"
      )
    if (self.waves or dims.width) % 2:
      raise ValueError(
        f"critic.waves={self.waves}, dims.width={dims.width}: odd"
      )

  def picked(self, taps: layers.Taps) -> list[Array]:
    """The maps that heads read, finest first."""
    return [*(taps.skips[i] for i in self.taps), taps.middle]

  def init(
    self, key: Array, dims: unet.Dims, taps: layers.Taps
  ) -> tuple[Any, Any]:
    """(parameters, the directions of their spectral norms).

    Args:
      key: random key.
      dims: of the UNet.
      taps: shapes of what is inside of it, of one example.
    """
    k_heads, k_norm = jax.random.split(key)
    maps = [jnp.zeros(x.shape, x.dtype) for x in self.picked(taps)]
    t = jnp.zeros(1, jnp.int32)
    params = self.heads(dims).init(k_heads, maps, t)["params"]
    return params, spectral.start(k_norm, params, timed_heads.spectral)

  def draw(
    self, keys: randomness.Keys, shape: tuple[int, ...], times: int
  ) -> dict[str, Array]:
    """disc_t [b] ints below times - 1, disc_noise of that shape [b, ...]."""
    options = dict(times=times - 1, noise=self.noise)
    return residual.drawn(keys, shape, "disc", **options)

  def logits(
    self,
    params: Any,
    state: Any,
    dims: unet.Dims,
    *,
    inside: Inside,
    noised: Sequence[Array],
    t: Array,
  ) -> list[Array]:
    """[b, n] of each of several states, high = real; n: places and channels.

    Args:
      params: of the heads.
      state: directions of their spectral norms.
      dims: of the UNet.
      inside: (states, times) -> what is inside of it.
      noised: states [b, h, w, c], which go through the networks together.
      t: [b] times of each of them.
    """
    normed = {"params": spectral.normalise(params, state)}
    t = jnp.concatenate([t] * len(noised))
    maps = self.picked(inside(jnp.concatenate(noised), t))
    made = self.heads(dims).apply(normed, maps, t)
    # The order of the released code: channels first.
    rows = [x.swapaxes(1, 2).reshape(len(x), -1) for x in made]
    return jnp.split(jnp.concatenate(rows, axis=-1), len(noised))

  def hinge(self, real: Array, fake: Array) -> Array:
    """[b] loss_D of logits [b, n]."""
    return 2 * jax.vmap(critics.hinge)(real, fake)

  def generator(self, fake: Array) -> Array:
    """[b] loss_G of logits [b, n]."""
    return -self.weight * fake.mean(-1)
