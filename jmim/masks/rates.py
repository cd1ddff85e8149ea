"""How many tokens are masked where that is drawn, one number for a batch."""

import math

import jax
import jax.numpy as jnp


def truncated_normal(
  u: jax.Array, least: float, mean: float = 1.0, std: float = 0.25
) -> jax.Array:
  """Rates from uniform numbers, by the inverse of the distribution function.

  A normal distribution cut to [least, mean]: its left half (MAR).

  Args:
    u: uniform in [0, 1), any shape; 0 gives `least`, 1 the mean.
    least: least rate, below the mean.
    mean: of the normal distribution before it is cut, the greatest rate.
    std: of the same.
  """
  low = jax.scipy.special.ndtr((least - mean) / std)
  return mean + std * jax.scipy.special.ndtri(low + u * (0.5 - low))


def uniform(u: jax.Array, least: float, most: float = 1.0) -> jax.Array:
  """Rates that are equally likely in [least, most]; as `truncated_normal`."""
  return least + (most - least) * u


def least_count(n: int, rate: float) -> int:
  """ceil(n rate), in Python's double arithmetic."""
  return math.ceil(n * rate)


def count(rate: jax.Array, n: int, least: float) -> jax.Array:
  """ceil(n rate) as int32, within those of the least rate and of 1."""
  found = jnp.ceil(n * rate).astype(jnp.int32)
  return jnp.clip(found, least_count(n, least), n)
