r"""Mixtures of low-rank Gaussians: their exact denoiser.

Wang et al. 2024 (arXiv 2409.02426), for any dimensions and weights:

    k ~ pi,  x0 = U_k a,  a ~ N(0, 1_{d_k}),  U_k [n, d_k] orthonormal
    x = s x0 + g eps
    E[x0 | x] = s / (s^2 + g^2)  sum_k w_k(x) U_k U_k^T x
    w = softmax_k(log pi_k + d_k/2 log(g^2 / (s^2 + g^2)) + phi |U_k^T x|^2)
    phi = s^2 / (2 g^2 (s^2 + g^2))

The middle term is the determinant of s^2 U_k U_k^T + g^2; it is the same for
all components of equal d_k. Bases need not be orthogonal to each other.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

Bases = Sequence[jax.Array]  # U_k [n, d_k]
Factor = jax.Array | float  # s or g: one, or [...] as x without its last


def _gain(s: Factor, g: Factor) -> tuple[jax.Array, jax.Array]:
  """(s / (s^2 + g^2), phi), with a dimension for what they multiply."""
  s, g = jnp.asarray(s)[..., None], jnp.asarray(g)[..., None]
  total = s**2 + g**2
  return s / total, s**2 / (2 * g**2 * total)


def norms(bases: Bases, x: jax.Array) -> jax.Array:
  """|U_k^T x|^2 of x [..., n]: [..., K]."""
  return jnp.stack([(_times(x, u) ** 2).sum(-1) for u in bases], -1)


def _times(x, u):
  """x u; phi makes of a rounded factor another component."""
  return jnp.matmul(x, u, precision="highest")


def log_weights(
  bases: Bases,
  priors: Sequence[float],
  x: jax.Array,
  *,
  s: Factor,
  g: Factor,
) -> jax.Array:
  """log p(k | x) [..., K] of x [..., n].

  Args:
    bases: U_k.
    priors: pi_k, positive.
    x: noisy points.
    s: factor of the data.
    g: factor of the noise, > 0.
  """
  _, phi = _gain(s, g)
  return jax.nn.log_softmax(
    _log_priors(bases, priors, s, g) + phi * norms(bases, x)
  )


def _log_priors(bases, priors, s, g):
  """log pi_k less half the log determinants, up to one constant: [..., K]."""
  s, g = jnp.asarray(s)[..., None], jnp.asarray(g)[..., None]
  half = jnp.asarray([u.shape[1] / 2 for u in bases])
  logs = jnp.log(jnp.asarray(priors))
  return logs - half * jnp.log1p((s / g) ** 2)


def log_density(
  bases: Bases,
  priors: Sequence[float],
  x: jax.Array,
  *,
  s: Factor,
  g: Factor,
) -> jax.Array:
  """log p(x) [...] of noisy x [..., n], exactly; arguments: `log_weights`."""
  _, phi = _gain(s, g)
  parts = _log_priors(bases, priors, s, g) + phi * norms(bases, x)
  g, n = jnp.asarray(g), x.shape[-1]
  noise = (x**2).sum(-1) / (2 * g**2) + n / 2 * jnp.log(2 * np.pi * g**2)
  return jax.nn.logsumexp(parts, -1) - noise


def denoised(
  bases: Bases,
  priors: Sequence[float],
  x: jax.Array,
  *,
  s: Factor,
  g: Factor,
) -> jax.Array:
  """E[x0 | x] [..., n]; arguments are those of `log_weights`."""
  w = jnp.exp(log_weights(bases, priors, x, s=s, g=g))
  gain, _ = _gain(s, g)
  parts = jnp.stack([_times(_times(x, u), u.T) for u in bases], -2)
  return gain * (w[..., None] * parts).sum(-2)


def expected_loss(v: jax.Array, x: jax.Array, s: float, g: float) -> jax.Array:
  """sum_i E_eps |c V V^T (s x_i + g eps) - x_i|^2, c = s / (s^2 + g^2).

      = sum_i |x_i|^2 - (2 c s - c^2 s^2) |V^T x_i|^2 + c^2 g^2 d

  so that the best V [n, d] has the greatest |V^T x|^2: PCA, not centred.

  Args:
    v: orthonormal columns.
    x: [N, n] clean points.
    s: factor of the data.
    g: factor of the noise.
  """
  c = s / (s**2 + g**2)
  kept = 2 * c * s - (c * s) ** 2
  noise = len(x) * (c * g) ** 2 * v.shape[1]
  return (x**2).sum() - kept * norms((v,), x).sum() + noise
