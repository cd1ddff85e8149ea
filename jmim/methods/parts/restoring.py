"""What a diffusion model of clean images makes of noise and of spoilt images.

    z = f(y)  ->  x_n  ->  ...  ->  x_0      `parts/contraction.py`

Images are in -1 .. 1, those of the restorer f in 0 .. 1. How an image is
spoilt, and the noise of its restoration, belong to the number that its pixels
give (`parts/degraded.py`), not to its place in a batch.
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jmim.core import method
from jmim.core import randomness
from jmim.methods.parts import contraction as contractions
from jmim.methods.parts import degraded as degrading
from jmim.methods.parts import gaussian
from jmim.methods.parts import guided
from jmim.methods.parts import holes as hole
from jmim.methods.parts import restorers

Array = jax.Array
LIMITS = (-1.0, 1.0)


class Seen(NamedTuple):
  """What there is of an example before it is restored, each [b, h, w, c].

  Attributes:
    z: estimate.
    low: spoilt image.
    high: whole image.
    known: pixels that are not missing; None where all of them are.
  """

  z: Array
  low: Array
  high: Array
  known: contractions.Known | None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Restoring:
  """The outputs of a method.

  Attributes:
    noise: its process.
    sampling: its sampler.
    contraction: where a restoration begins.
    restorer: makes the estimate.
    degraded: how images are spoilt.
    holes: which pixels are missing.
    network: (params, x, t, told) -> raw prediction; it is told nothing.
    shape: [h, w, c] of an image.
  """

  noise: gaussian.Gaussian
  sampling: guided.Guided
  contraction: contractions.Contraction
  restorer: restorers.Frozen
  degraded: degrading.Degraded
  holes: hole.Holes
  network: Callable[..., Array]
  shape: tuple[int, int, int]

  def outputs(self) -> dict[str, method.Predict]:
    """sample; with a restorer estimate and restore."""
    found = {"sample": self.sample}
    if not self.restorer.known:
      return found
    return found | {"estimate": self.estimate, "restore": self.restore}

  def sample(
    self, weights: method.Weights, batch: method.Batch, key: Array
  ) -> Array:
    """Images [b, h, w, c] of pure noise."""
    return self.sampling.sample(
      self.noise,
      functools.partial(self.network, weights.params),
      condition=(None, None),
      shape=self.shape,
      batch=batch,
      key=key,
      reproject=False,
    )

  def seen(self, weights: method.Weights, batch: method.Batch) -> Seen:
    """The examples of a batch, spoilt, and the restorer's estimate."""
    channels, factor = self.shape[-1], self.degraded.factor
    low, high = self.degraded.fixed(batch, LIMITS)
    numbers = self.degraded.numbers(batch, LIMITS)
    shown = self.holes.fixed((low + 1) / 2, numbers)
    z = self.restorer.estimate(weights, shown, channels, factor)
    low, known = 2 * shown[..., :channels] - 1, None
    if self.holes.boxes:
      known = contractions.Known(low, hole=shown[..., channels:])
    return Seen(2 * z - 1, low=low, high=high, known=known)

  def estimate(
    self, weights: method.Weights, batch: method.Batch, key: Array
  ) -> dict[str, Array]:
    """image: z; target, input."""
    del key
    seen = self.seen(weights, batch)
    return self.degraded.output(seen.z, seen.low, seen.high)

  def restore(
    self, weights: method.Weights, batch: method.Batch, key: Array
  ) -> dict[str, Array]:
    """image [b, h, w, c]; target, input."""
    seen = self.seen(weights, batch)
    numbers = self.degraded.numbers(batch, LIMITS)
    draw = randomness.normals(key, numbers, self.shape)
    normal = lambda call: self.sampling.rt.shard(draw(call))
    # Numbers 0 .. n - 1 are the calls; n is the state that they begin in.
    made, _ = self.contraction.walk(
      self.noise,
      self.sampling,
      functools.partial(self.network, weights.params),
      estimate=seen.z,
      start=self.sampling.temperature * normal(self.contraction.start),
      more=normal,
      known=seen.known,
    )
    if seen.known:
      shown = jnp.concatenate(seen.known, axis=-1)
      made = self.holes.pasted(made, shown)
    return self.degraded.output(jnp.clip(made, *LIMITS), seen.low, seen.high)
