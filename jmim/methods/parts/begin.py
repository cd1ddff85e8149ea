"""Where two branches of a sampler begin, and where the first one walks.

A picture that the model makes: one noise for both branches, and the source is
what the sampler makes. A real one z: the source is noised anew at every call,

    x_i = a_i z + s_i eps_b(i)

with a noise eps_b for as many neighbouring calls ("bucketing" of DiffUHaul,
Avrahami et al. 2024), so that its features are alike from call to call, and
nothing has to be inverted; the target begins with noise of its own.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import method
from jmim.core import randomness
from jmim.diffusion import dragging
from jmim.diffusion import model
from jmim.diffusion import targets

Array = jax.Array
# (the sampler's state [b, ...], number of the call, signal, noise) -> the
# source's state.
States = Callable[[Array, Array | int, Any, Any], Array]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Begin:
  """Real pictures or made ones, and their noises."""

  real: bool = field.value(
    False, "pictures of the data are the source; else such as the model makes"
  )
  buckets: int = field.value(
    5, "noises of a real picture, each for as many steps", low=1
  )
  fresh: bool = field.value(
    False, "the target begins with noise of its own, as it does if real"
  )

  def check(self, steps: int) -> None:
    """Raises ValueError for more noises than steps, or two reasons for one."""
    if self.real:
      dragging.buckets(steps, self.buckets)
    if self.real and self.fresh:
      raise ValueError(
        "begin.fresh with begin.real: a real picture's target has noise of its "
        "own anyway"
      )

  def draw(self, keys: randomness.Keys, source: model.Diffuser) -> method.Draws:
    """start, target, posterior [h, w, c], bucket [n, h, w, c]: those needed."""
    shapes = {"bucket": (self.buckets, *source.shape)}
    own = ["target", "bucket"] if self.real else ["start"]
    own += ["target"] * (self.fresh and not self.real)
    own += ["posterior"] * (self.real and source.random)
    shape = lambda name: shapes.get(name, source.shape)
    return {n: jax.random.normal(keys(n), shape(n)) for n in own}

  def pair(self, states: States, draws: method.Draws, level: Any) -> Array:
    """[2 b, h, w, c]: both branches at the first level, source first."""
    first = float(level.signal[0]), float(level.noise[0])
    one = states(draws.get("start"), 0, *first)
    return jnp.concatenate([one, draws.get("target", one)])

  def states(
    self,
    source: model.Diffuser,
    batch: method.Batch,
    draws: method.Draws,
    steps: int,
  ) -> States:
    """Where the source is at each call of so many."""
    if not self.real:
      return lambda x, call, a, s: x
    z = source.encode(batch["image"], draws.get("posterior"))
    which = jnp.asarray(dragging.buckets(steps, self.buckets))

    def state(x, call, a, s):
      del x
      bucket = which[jnp.minimum(call, steps - 1)]
      noise = jnp.take(draws["bucket"], bucket, axis=1)
      return targets.noised(z, noise, a, s)

    return state
