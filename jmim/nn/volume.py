"""Volume rendering along rays: densities to weights, and their distortion.

    a_i = 1 - exp(-s_i D_i),   T_i = prod_{j < i} (1 - a_j),   w_i = T_i a_i

of S intervals between S + 1 boundaries, which all rays share (Mildenhall et al.
2020). float32. Letters: S intervals.
"""

import jax
import jax.numpy as jnp

Array = jax.Array
EPS = 1e-10  # so that no transmittance is 0 and has no gradient


def boundaries(
  near: float, far: float, samples: int, jitter: Array | None = None
) -> Array:
  """[S + 1] distances at which intervals begin and end.

  Args:
    near: of the first.
    far: of the last, which stays there.
    samples: S.
    jitter: [S + 1] in 0 .. 1: shares of an interval by which each is farther;
      the last is not read. None: none is.
  """
  width = (far - near) / samples
  places = near + width * jnp.arange(samples + 1, dtype=jnp.float32)
  if jitter is None:
    return places
  return places + width * jitter.at[-1].set(0.0)


def middles(bounds: Array) -> Array:
  """[S] between [S + 1]."""
  return (bounds[1:] + bounds[:-1]) / 2


def weights(density: Array, bounds: Array) -> tuple[Array, Array]:
  """(w, 1 - a) [..., S] of densities [..., S]; sum w = 1 - prod (1 - a)."""
  left = jnp.exp(-density * jnp.diff(bounds))
  before = jnp.cumprod(left + EPS, axis=-1)
  before = jnp.concatenate(
    [jnp.ones_like(before[..., :1]), before[..., :-1]], axis=-1
  )
  return (1 - left) * before, left


def distortion(w: Array, bounds: Array) -> Array:
  """[...] how far weights [..., S] are spread (Barron et al. 2022).

      1/3 sum_i w_i^2 D_i + sum_ij w_i w_j |m_i - m_j|

  with prefix sums, so in linear time.

  Args:
    w: weights of the intervals.
    bounds: [S + 1].
  """
  m = middles(bounds)
  before = lambda x: jnp.cumsum(x, axis=-1) - x
  apart = (w * (m * before(w) - before(w * m))).sum(-1)
  return (w**2 * jnp.diff(bounds)).sum(-1) / 3 + 2 * apart
