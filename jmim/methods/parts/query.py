"""Diffusion of one vector per example with a schedule of its own (DiffDis).

    e'   = sqrt(d) e / |e|                   unit variance, d numbers
    e_s  = a_s e' + n_s eps                  s ~ U{first .. S-1}
    D(e_s, s, image) = e'                    predicted as it is (x0)

`first` is the first time with a_s^2 <= `signal`: with less noise the vector
itself can be read in e_s, and nothing is learnt of the image. The last time is
pure noise (Lin et al. 2024), so that what sampling begins with was trained.
Letters: b batch, d numbers of the vector, k candidates.
"""

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from jmim.core import field
from jmim.core import randomness
from jmim.diffusion import sampler
from jmim.diffusion import schedule as schedules
from jmim.diffusion import solvers
from jmim.diffusion import targets
from jmim.nn import norm

# (noisy vectors [b, d], times [b]) -> the vectors [b, d].
Denoise = Callable[[jax.Array, jax.Array], jax.Array]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Query:
  """Noise schedule of the vector, and how it is denoised and scored."""

  schedule: str = field.value(
    "scaled_linear", "noise schedule of the vector", choices=schedules.NAMES
  )
  times: int = field.value(1000, "S, discrete times of the vector", low=2)
  beta_start: float = field.value(
    0.00085, "first beta of the vector (linear and alike)", above=0
  )
  beta_end: float = field.value(
    0.012, "last beta of the vector, before the end is made pure noise", above=0
  )
  signal: float = field.value(
    0.5,
    "greatest share of the variance that is signal at the times trained",
    above=0.0,
    high=1.0,
  )
  steps: int = field.value(
    1, "steps from noise to the vector", low=1, asked=True
  )
  noises: int = field.value(
    1,
    "noises that a predicted vector is the mean over; 0: from the zero vector",
    low=0,
    asked=True,
  )
  trials: int = field.value(
    8, "noises that a denoising error is the mean over", low=1, asked=True
  )

  @property
  def process(self) -> schedules.Schedule:
    """The schedule, which ends in pure noise."""
    return schedules.make(
      self.schedule,
      self.times,
      start=self.beta_start,
      end=self.beta_end,
      zero_snr=True,
    )

  @property
  def first(self) -> int:
    """The first time that is trained."""
    return int(np.argmax(self.process.power <= self.signal))

  def check(self, key: str) -> None:
    """Raises ValueError for fields that do not go together.

    Args:
      key: of this part in the method, with a dot, for messages.
    """
    self.process.check("x0")
    trained = self.times - self.first
    most = max(self.steps, self.trials)
    if most > trained:
      name = "steps" if self.steps == most else "trials"
      raise ValueError(
        f"{key}{name} {most} of {trained} times that are trained: those from "
        f"{self.first} on, of {key}times {self.times}, have at most "
        f"{key}signal {self.signal}"
      )

  def scaled(self, e: jax.Array) -> jax.Array:
    """e' [..., d] float32 of vectors of any length."""
    return e.shape[-1] ** 0.5 * norm.unit(e)

  def draw(
    self, keys: randomness.Keys, shape: tuple[int, int]
  ) -> dict[str, jax.Array]:
    """query_t [b] times that are trained, query_noise [b, d]."""
    first, last = self.first, self.times
    return {
      "query_t": jax.random.randint(keys("query_t"), shape[:1], first, last),
      "query_noise": jax.random.normal(keys("query_noise"), shape),
    }

  def add(self, e: jax.Array, t: jax.Array, noise: jax.Array) -> jax.Array:
    """e_s [..., d] of e' [..., d] at times t that broadcast to [...]."""
    a, s = self.process.at(t)
    return targets.noised(e, noise, a[..., None], s[..., None])

  @property
  def path(self) -> schedules.Levels:
    """From pure noise through `steps` of the trained times to the vector."""
    last = self.times - 1
    visited = np.linspace(last, self.first, self.steps + 1)[:-1]
    return self.process.levels(np.round(visited).astype(int))

  def walk(self, denoise: Denoise, x: jax.Array) -> jax.Array:
    """The vector [b, d] that DDIM makes of noise x [b, d]."""

    def call(x, level):
      t = jnp.full(len(x), level.time)
      made = denoise(x, t)
      return targets.output("x0", made, x=x, a=level.signal, s=level.noise)

    return sampler.sample(solvers.ddim(self.path), call, x)[0]

  def predicted(
    self, denoise: Denoise, shape: tuple[int, int], key: jax.Array
  ) -> jax.Array:
    """[b, d] vectors of length 1: of the mean over `noises`.

    All examples begin with the same noises.

    Args:
      denoise: with the images of the b examples.
      shape: (b, d).
      key: of the noises.
    """
    if not self.noises:
      return norm.unit(self.walk(denoise, jnp.zeros(shape)))
    start = jax.random.normal(key, (self.noises, 1, shape[1]))
    walk = lambda x: self.walk(denoise, jnp.broadcast_to(x, shape))
    return norm.unit(jax.lax.map(walk, start).mean(0))

  def errors(
    self, denoise: Denoise, candidates: jax.Array, key: jax.Array
  ) -> jax.Array:
    """[b, k] mean squared error of each candidate, noised and denoised.

    The mean is over `trials` noises, at times evenly spaced among those that
    are trained. All candidates of all examples see the same ones.

    Args:
      denoise: with the images of the b examples.
      candidates: e' [b, k, d].
      key: of the noises.
    """
    d, n = candidates.shape[-1], self.trials
    width = (self.times - self.first) / n
    times = self.first + np.floor(width * (np.arange(n) + 0.5)).astype(int)
    each = jax.vmap(denoise, (1, None), 1)

    def one(drawn):
      t, noise = drawn
      t = jnp.full(len(candidates), t)
      x = self.add(candidates, t[:, None], noise)
      return ((each(x, t) - candidates) ** 2).mean(-1)

    noise = jax.random.normal(key, (n, d))
    return jax.lax.map(one, (jnp.asarray(times), noise)).mean(0)
