"""Weights of the loss over noise levels, and random times.

Weights multiply the squared error of the kind the network predicts. All take
and return arrays of the same shape.
"""

import jax
import jax.numpy as jnp
import numpy as np

from jmim.diffusion import schedule

NAMES = ("uniform", "min_snr", "edm")


def min_snr(kind: str, snr: jax.Array, gamma: float = 5.0) -> jax.Array:
  """min(SNR, gamma) on the x0 error, for the error of `kind` (Hang et al.).

  The error of eps is SNR times that of x0, the error of v (SNR + 1) times.

  Raises:
    ValueError: a kind without this weight.
  """
  scale = {"x0": jnp.ones_like(snr), "eps": snr, "v": snr + 1}
  if kind not in scale:
    raise ValueError(f"min-SNR weight of {kind!r}: one of {', '.join(scale)}")
  return jnp.minimum(snr, gamma) / scale[kind]


def edm(sigma: jax.Array, data: float = 0.5) -> jax.Array:
  """(sigma^2 + data^2) / (sigma data)^2, on the x0 error (Karras et al.)."""
  return (sigma**2 + data**2) / (sigma * data) ** 2


def bound(process: schedule.Schedule, t: jax.Array) -> jax.Array:
  """Weight of the eps error in the variational bound, at integer times.

  beta^2 / (2 sigma^2 (1 - beta) (1 - a^2)), sigma^2 the posterior's variance
  (Ho et al. 2020, equation 12); time 0, where that is 0, weighs as time 1.
  """
  beta, power = process.beta[1:], process.power
  var = beta * (1 - power[:-1]) / (1 - power[1:])
  w = beta**2 / (2 * var * (1 - beta) * (1 - power[1:]))
  return schedule.pick(np.append(w[0], w), t)


def check(name: str, kind: str) -> None:
  """Raises ValueError for a weight without a form for predictions of a kind."""
  if name == "min_snr" and kind == "velocity":
    raise ValueError("weight 'min_snr' has no form for prediction 'velocity'")


def make(
  name: str, kind: str, a: jax.Array, s: jax.Array, **options: float
) -> jax.Array:
  """The weight `name` for a network predicting `kind` at (signal, noise).

  Raises:
    ValueError: unknown name.
  """
  if name == "uniform":
    return jnp.ones_like(a)
  if name == "min_snr":
    return min_snr(kind, (a / s) ** 2, **options)
  if name == "edm":
    if kind != "x0":
      raise ValueError(f"the EDM weight is of the x0 error, not of {kind!r}")
    return edm(s / a, **options)
  raise ValueError(f"weight {name!r} is none of {', '.join(NAMES)}")


def lognormal(
  normal: jax.Array, mean: float = -1.2, std: float = 1.2
) -> jax.Array:
  """sigma = exp(mean + std n), n ~ N(0, 1): EDM's training noise."""
  return jnp.exp(mean + std * normal)


def dense_ends(share: jax.Array, a: float) -> jax.Array:
  """Times in [0, 1] with density ~ e^(a u) + e^(-a u), u = t - 1/2.

  F(t) = (1 + sinh(a u) / sinh(a / 2)) / 2, whose inverse is here. (Lee et al.
  2024, arXiv 2405.20320, who mirror times of density e^(a t); Step-Video Turbo
  writes the density as of t alone, with which it would have one end.)

  Args:
    share: uniform in [0, 1], of any shape.
    a: above 0; the greater, the nearer to the ends.
  """
  return 0.5 + jnp.arcsinh((2 * share - 1) * np.sinh(a / 2)) / a


def logit_normal(
  normal: jax.Array, mean: float = 0.0, std: float = 1.0
) -> jax.Array:
  """u = sigmoid(mean + std n) in (0, 1): rectified flow's training time."""
  return jax.nn.sigmoid(mean + std * normal)
