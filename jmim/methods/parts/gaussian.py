"""Diffusion in T discrete times: x_t = a_t x + s_t eps, t ~ U{0..T-1}.

A network predicts eps and, with `learn_variance`, v, which interpolates the
log variance of the reverse step (Nichol and Dhariwal 2021):

    mse = mean (e - eps)^2
    vb  = KL(q(x_{t-1} | x_t, x) || N(mu_sg(e), Sigma_v)) / ln 2
          at t = 0: the negative log likelihood of x

`parts/flow.py` has the same functions for straight paths in continuous time.
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jmim.core import field
from jmim.core import method
from jmim.core import randomness
from jmim.diffusion import respace
from jmim.diffusion import sampler as samplers
from jmim.diffusion import schedule as schedules
from jmim.diffusion import solvers
from jmim.diffusion import targets
from jmim.diffusion import variance as variances


@dataclasses.dataclass(frozen=True, kw_only=True)
class Gaussian:
  """Noise schedule, its times, and the variance of the reverse step."""

  schedule: str = field.value(
    "linear", "noise schedule", choices=schedules.NAMES
  )
  times: int = field.value(1000, "T, discrete times", low=2)
  beta_start: float = field.value(
    1e-4, "first beta (linear and alike)", above=0
  )
  beta_end: float = field.value(0.02, "last beta (linear and alike)", above=0)
  zero_snr: bool = field.value(
    False, "end in pure noise (Lin et al. 2024); not where noise is predicted"
  )
  spacing: str = field.value(
    "even", "times that sampling visits", choices=respace.SPACINGS, asked=True
  )
  variance: str = field.value(
    "small", "variance of the sampler ddpm", choices=variances.KINDS
  )
  learn_variance: bool = field.value(
    False, "predict v beside the noise and learn it by vb"
  )

  @property
  def process(self) -> schedules.Schedule:
    """The noise schedule."""
    return schedules.make(
      self.schedule,
      self.times,
      start=self.beta_start,
      end=self.beta_end,
      zero_snr=self.zero_snr,
    )

  def agrees(self) -> dict[str, tuple[str, Any]]:
    """What a frozen network of this process agrees in, see `method.Const`."""
    names = ("schedule", "times", "beta_start", "beta_end", "zero_snr")
    key = "noise.{}".format
    return {key(n): (f"method.{key(n)}", getattr(self, n)) for n in names}

  @property
  def end(self) -> float:
    """The network's time of pure noise, or just beyond; 0 is data."""
    return float(self.times)

  @property
  def clean(self) -> float:
    """The network's time of data."""
    return 0.0

  @property
  def outputs(self) -> int:
    """Outputs of the network per channel."""
    return 1 + self.learn_variance

  def check(
    self, sampling: solvers.Walk, learns: bool = True, kind: str = "eps"
  ) -> None:
    """Raises ValueError for fields that do not go together.

    Args:
      sampling: its sampler is to walk through these times.
      learns: whether the method's network can learn the variance.
      kind: of the prediction, see `diffusion.targets`.
    """
    respace.visited(self.spacing, self.times, sampling.steps)
    self.process.check(kind)
    with np.errstate(all="ignore"):  # `check` says what became of it
      self.table(sampling).check(sampling.sampler)
    if self.learn_variance and not learns:
      raise ValueError("noise.learn_variance: this network predicts none")
    if self.variance == "learned" and not self.learn_variance:
      raise ValueError("noise.variance 'learned' without noise.learn_variance")

  def draw(
    self, keys: randomness.Keys, shape: tuple[int, ...]
  ) -> dict[str, jax.Array]:
    """t [b] ints below T, and noise of that shape [b, ...]."""
    return {
      "t": jax.random.randint(keys("t"), shape[:1], 0, self.times),
      "noise": jax.random.normal(keys("noise"), shape),
    }

  def add(
    self, x: jax.Array, t: jax.Array, noise: jax.Array
  ) -> tuple[jax.Array, jax.Array, jax.Array]:
    """(x_t, a_t, s_t) of data x [b, ...] at times t [b]; a, s [b, 1, ...]."""
    a, s = self.process.at(targets.expand(t, x.ndim))
    return targets.noised(x, noise, a, s), a, s

  def share(self, t: jax.Array) -> jax.Array:
    """Times in [0, 1), 0 is data."""
    return t / self.times

  def errors(
    self, raw: jax.Array, x: jax.Array, draws: method.Draws
  ) -> dict[str, jax.Array]:
    """mse [b] and, with `learn_variance`, vb [b] in bits per dimension.

    Args:
      raw: the network's prediction [b, ..., c or 2 c] at the drawn times.
      x: data [b, ..., c]: images, or one token each.
      draws: of `draw`.
    """
    eps, v = jnp.split(raw, [x.shape[-1]], axis=-1)
    terms = {"mse": variances.per_row((eps - draws["noise"]) ** 2)}
    if self.learn_variance:
      # The bound teaches the variance only: the mean is a constant to it.
      bound, t = variances.Bound(self.process), draws["t"]
      x_t, a, s = self.add(x, t, draws["noise"])
      x0 = targets.to_x0("eps", jax.lax.stop_gradient(eps), x=x_t, a=a, s=s)
      log_var = bound.log_var(v, t)
      terms["vb"] = bound.bits(x, x_t, t=t, x0_hat=x0, log_var=log_var)
    return terms

  def table(self, sampling: solvers.Walk, share: float = 1.0) -> samplers.Table:
    """The sampler along the times it visits, or the last share of them."""
    visited = respace.visited(self.spacing, self.times, sampling.steps)
    path = self.process.levels(visited, respace.end(self.spacing)).last(share)
    return solvers.make(
      sampling.sampler, path, eta=sampling.eta, kind=self.variance
    )

  def output(
    self,
    raw: jax.Array,
    x: jax.Array,
    level: samplers.Level,
    *,
    channels: int,
    clip: float,
    kind: str = "eps",
    reproject: bool = True,
  ) -> targets.Output:
    """What the sampler needs of a (guided) raw prediction at x.

    Args:
      raw: [b, h, w, c or more]: a prediction, then v if it is learned.
      x: noisy state.
      level: of the call.
      channels: c.
      clip: limit of |x0|; 0: none.
      kind: of the prediction, see `diffusion.targets`.
      reproject: noise follows a clipped x0, see `targets.output`.
    """
    made = targets.output(
      kind,
      raw[..., :channels],
      x=x,
      a=level.signal,
      s=level.noise,
      clip=clip,
      reproject=reproject,
      scales=level.scales,
    )
    if not self.learn_variance:
      return made
    small, large = level.log_small, level.log_large
    log_var = variances.learned(raw[..., channels:], small, large)
    return made._replace(log_var=log_var)
