"""Deep linear networks: their start, their gradient flow, and closed forms.

Littwin et al. 2024; symbols are those of `theory.jepa_linear`: W = W_L ... W_1
encoder, V one layer after it, lambda = Syx_ii, rho = Syx_ii / Sxx_ii, w the
amplitude of a feature in each layer.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

OBJECTIVES = ("jepa", "mae")
Number = Any  # a float, or an array of them


def velocity(
  w: Number, lam: Number, rho: Number, depth: int, objective: str
) -> Number:
  """dw/dt of the amplitude w of one feature in each layer; broadcasts."""
  if objective == "jepa":
    return lam * w ** (2 * depth) * (1 - w / rho)
  return lam * w**depth * (1 - w ** (depth + 1) / rho)


def limit(rho: Number, depth: int, objective: str) -> np.ndarray:
  """End-to-end amplitude w^L at which a feature of rho [...] ends."""
  power = depth if objective == "jepa" else depth / (depth + 1)
  return np.asarray(rho) ** power


def closed_form(
  w: Number, w0: Number, lam: Number, rho: Number, depth: int
) -> np.ndarray:
  """[d] times of JEPA from w0 to w, amplitudes per layer; nan beyond rho.

  With dt = dw / (lambda w^(2L) (1 - w / rho)) in partial fractions:

      lambda t = sum_{n=1}^{2L-1} rho^(n+1-2L) (w0^-n - w^-n) / n
                 + rho^(1-2L) log(w (1 - w0/rho) / (w0 (1 - w/rho)))
  """
  n = np.arange(1, 2 * depth)[:, None]
  w, w0, lam, rho = (
    np.atleast_1d(np.asarray(a, float)) for a in (w, w0, lam, rho)
  )
  series = rho ** (n + 1 - 2 * depth) * (w0 ** (-n) - w ** (-n)) / n
  with np.errstate(invalid="ignore"):
    log = np.log(w / w0) - np.log((1 - w / rho) / (1 - w0 / rho))
  return (series.sum(0) + rho ** (1.0 - 2 * depth) * log) / lam


def time_to(
  share: float,
  lam: Number,
  rho: Number,
  depth: int,
  eps: float,
  objective: str,
) -> np.ndarray:
  """[d] times until w^L is `share` of its limit; nan if it falls.

  Integrates dw / velocity over s = log w, Gauss-Legendre with 400 nodes.

  Args:
    share: of the limit.
    lam: [d] or one, covariances Syx_ii.
    rho: [d] or one, regression coefficients.
    depth: layers L.
    eps: initial amplitude of W, w^L.
    objective: "jepa" or "mae".
  """
  nodes, weights = np.polynomial.legendre.leggauss(400)
  times = []
  for a, r in zip(*np.broadcast_arrays(lam, rho), strict=True):
    start = np.log(eps) / depth
    end = np.log(share * limit(r, depth, objective)) / depth
    s = start + (end - start) * (nodes + 1) / 2
    w = np.exp(s)
    speed = velocity(w, a, rho=r, depth=depth, objective=objective) / w
    time = (weights / speed).sum() * (end - start) / 2
    times.append(time if end > start else np.nan)
  return np.array(times)


def initial(
  key: jax.Array, width: int, depth: int, eps: float, objective: str
) -> dict[str, jax.Array]:
  """Balanced `layers` [L, d, d] and `v` [d, d]: see the module docstring."""
  normal = jax.random.normal(key, (depth, width, width))
  u = jnp.concatenate([jnp.eye(width)[None], jnp.linalg.qr(normal)[0]])
  scale = eps ** (1 / depth)
  layers = scale * jnp.einsum("aij,akj->aik", u[1:], u[:-1])
  first = u[-1] if objective == "jepa" else u[0]
  return {"layers": layers, "v": scale * first @ u[-1].T}


def product(layers: jax.Array) -> jax.Array:
  """W_L ... W_1 [d, d] of layers [L, d, d]."""
  w = layers[0]
  for layer in layers[1:]:
    w = layer @ w
  return w


def gradients(
  params: dict[str, jax.Array],
  sxx: jax.Array,
  syx: jax.Array,
  objective: str,
) -> dict[str, jax.Array]:
  """Gradient of the expected loss, the target stopped.

      E = V W Sxx - W Syx (JEPA), V W Sxx - Syx (MAE)
      dL/dV = E W^T,   dL/dW_a = (V W_L ... W_{a+1})^T E (W_{a-1} ... W_1)^T

  Args:
    params: layers [L, d, d], v [d, d].
    sxx: [d, d].
    syx: [d, d].
    objective: "jepa" or "mae".

  Returns:
    the same tree as `params`.
  """
  layers, v = params["layers"], params["v"]
  w = product(layers)
  eye = jnp.eye(len(w))
  target = w @ syx if objective == "jepa" else syx
  error = v @ w @ sxx - target
  grads = []
  for a in range(len(layers)):
    after = product(jnp.concatenate([eye[None], layers[a + 1 :]]))
    before = product(jnp.concatenate([eye[None], layers[:a]]))
    grads.append(after.T @ v.T @ error @ before.T)
  return {"layers": jnp.stack(grads), "v": error @ w.T}


def simulate(
  key: jax.Array,
  lam: Number,
  rho: Number,
  depth: int,
  eps: float,
  objective: str,
  rate: float,
  steps: int,
  every: int = 1,
) -> tuple[np.ndarray, jax.Array, dict[str, jax.Array]]:
  """Gradient descent on the expected loss.

  Args:
    key: of the orthogonal matrices.
    lam: [d] covariances Syx_ii.
    rho: [d] regression coefficients.
    depth: layers L.
    eps: initial amplitude of W.
    objective: "jepa" or "mae".
    rate: step in time.
    steps: number of steps.
    every: steps between records.

  Returns:
    times [r], amplitudes [r, d] of each feature in W, the last parameters.
  """
  lam, rho = jnp.asarray(lam, jnp.float32), jnp.asarray(rho, jnp.float32)
  sxx, syx = jnp.diag(lam / rho), jnp.diag(lam)

  def step(params, _):
    g = gradients(params, sxx, syx, objective)
    return jax.tree.map(lambda p, x: p - rate * x, params, g), None

  def record(params, _):
    params, _ = jax.lax.scan(step, params, None, length=every)
    return params, jnp.linalg.norm(product(params["layers"]), axis=0)

  start = initial(key, len(lam), depth=depth, eps=eps, objective=objective)
  last, amplitudes = jax.lax.scan(record, start, None, length=steps // every)
  times = rate * every * np.arange(1, len(amplitudes) + 1)
  return times, amplitudes, last
