"""Gaussian posteriors, learned variances and the hybrid bound of IDDPM.

q(x_s | x_t, x0) of a step from level t to a cleaner level s, r = a_t / a_s:

    beta  = noise_t^2 - r^2 noise_s^2
    mean  = (a_s beta x0 + r noise_s^2 x_t) / noise_t^2
    var   = beta noise_s^2 / noise_t^2

which are DDPM's for a variance-preserving schedule. Nichol and Dhariwal 2021:
log Sigma = f log beta + (1 - f) log var, f = (v + 1) / 2.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jmim.diffusion import schedule

KINDS = ("small", "large", "learned")


class Posterior(NamedTuple):
  """[n] float64 coefficients of the steps of a path.

  Attributes:
    of_x0: factor of x0 in the mean.
    of_x: factor of x_t in the mean.
    beta: variance of the forward step ("large").
    var: variance of the posterior ("small"), 0 where a step ends clean.
    log_var: its logarithm, where it is 0 that of the step before.
  """

  of_x0: np.ndarray
  of_x: np.ndarray
  beta: np.ndarray
  var: np.ndarray
  log_var: np.ndarray


def posterior(levels: schedule.Levels) -> Posterior:
  """Coefficients of q(x_s | x_t, x0) along a path; nan where it ascends."""
  a, s2 = levels.signal, levels.noise**2
  # A path from data to noise has no posterior, but deterministic samplers.
  with np.errstate(divide="ignore", invalid="ignore"):
    r = a[:-1] / a[1:]
    beta = s2[:-1] - r**2 * s2[1:]
    var = beta * s2[1:] / s2[:-1]
    clipped = np.where(var > 0, var, np.roll(var, 1))
    return Posterior(
      of_x0=a[1:] * beta / s2[:-1],
      of_x=r * s2[1:] / s2[:-1],
      beta=beta,
      var=var,
      log_var=np.log(np.maximum(clipped, 1e-20)),
    )


def learned(
  v: jax.Array, log_small: jax.Array, log_large: jax.Array
) -> jax.Array:
  """log Sigma from the network's v, unclamped: -1 small, +1 large."""
  share = (v + 1) / 2
  return share * log_large + (1 - share) * log_small


def gaussian_kl(
  mean1: jax.Array, log_var1: jax.Array, mean2: jax.Array, log_var2: jax.Array
) -> jax.Array:
  """KL(N1 || N2) of diagonal Gaussians, element by element, in nats."""
  return 0.5 * (
    -1.0
    + log_var2
    - log_var1
    + jnp.exp(log_var1 - log_var2)
    + (mean1 - mean2) ** 2 * jnp.exp(-log_var2)
  )


def _normal_cdf(x: jax.Array) -> jax.Array:
  """The tanh approximation of IDDPM's code."""
  return 0.5 * (1.0 + jnp.tanh((2 / np.pi) ** 0.5 * (x + 0.044715 * x**3)))


def discretised_log_likelihood(
  x: jax.Array, mean: jax.Array, log_scale: jax.Array
) -> jax.Array:
  """log P of x on the grid of 8-bit images in [-1, 1], in nats.

  Bins of +-1/255; the outermost reach to infinity.
  """
  centred, inverse = x - mean, jnp.exp(-log_scale)
  upper = _normal_cdf(inverse * (centred + 1 / 255))
  lower = _normal_cdf(inverse * (centred - 1 / 255))
  safe = lambda p: jnp.log(jnp.maximum(p, 1e-12))
  inner = safe(upper - lower)
  return jnp.where(
    x < -0.999, safe(upper), jnp.where(x > 0.999, safe(1 - lower), inner)
  )


def per_row(x: jax.Array) -> jax.Array:
  """[b, ...] -> [b], the mean over all but the first dimension."""
  return x.mean(tuple(range(1, x.ndim)))


class Bound:
  """The terms of the variational bound along all times of a schedule."""

  def __init__(self, process: schedule.Schedule):
    """Tables by ascending time."""
    found = posterior(process.levels())
    self.tables = Posterior(*(table[::-1] for table in found))

  def log_var(self, v: jax.Array, t: jax.Array) -> jax.Array:
    """log Sigma of v [b, ...] at times t [b]."""
    where = t.reshape(t.shape + (1,) * (v.ndim - t.ndim))
    small = schedule.pick(self.tables.log_var, where)
    return learned(v, small, schedule.pick(np.log(self.tables.beta), where))

  def bits(
    self,
    x0: jax.Array,
    x: jax.Array,
    t: jax.Array,
    x0_hat: jax.Array,
    log_var: jax.Array,
  ) -> jax.Array:
    """L_t in bits per dimension: [b], mean over the other dimensions.

    Args:
      x0: data [b, ...] in [-1, 1].
      x: noisy x_t.
      t: integer times [b].
      x0_hat: estimate of x0; stop its gradient if only the variance is
        learned by this term (the hybrid loss).
      log_var: log Sigma.

    KL of the reverse step for t > 0, the discretised likelihood at t = 0.
    """
    where = t.reshape(t.shape + (1,) * (x.ndim - t.ndim))
    at = lambda table: schedule.pick(table, where)
    c = self.tables
    mean = lambda d: at(c.of_x0) * d + at(c.of_x) * x
    kl = gaussian_kl(mean(x0), at(c.log_var), mean(x0_hat), log_var)
    nll = -discretised_log_likelihood(x0, mean(x0_hat), 0.5 * log_var)
    return per_row(jnp.where(where == 0, nll, kl)) / np.log(2.0)
