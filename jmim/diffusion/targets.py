"""What a network predicts, and the exact way from one kind to another.

With x_t = a x0 + s eps (a: signal, s: noise):

    eps       the noise
    x0        the data
    v         a eps - s x0                       Salimans and Ho 2022
    velocity  x0 - eps, the straight line's      rectified flow, 1 = data

`a` and `s` broadcast to x: give them as [b, 1, 1, 1] (`expand`) or scalars.
"""

from typing import Any
from typing import NamedTuple

import jax
import jax.numpy as jnp

Factor = jax.Array | float  # a or s: one, or one per example

KINDS = ("eps", "x0", "v", "velocity")


class Output(NamedTuple):
  """What a sampler needs of a network at one noise level.

  Attributes:
    x0: estimate of the data.
    eps: estimate of the noise.
    log_var: learned log variance of the reverse step, or None.
    aux: anything a callback wants to see (features, attention), or None.
  """

  x0: jax.Array
  eps: jax.Array
  log_var: jax.Array | None = None
  aux: Any = None


def expand(a: jax.Array, ndim: int) -> jax.Array:
  """[b] -> [b, 1, ...] with `ndim` dimensions."""
  return a.reshape(a.shape + (1,) * (ndim - a.ndim))


def noised(x0: jax.Array, eps: jax.Array, a: Factor, s: Factor) -> jax.Array:
  """x_t = a x0 + s eps."""
  return a * x0 + s * eps


def target(
  kind: str, x0: jax.Array, eps: jax.Array, a: Factor, s: Factor
) -> jax.Array:
  """What the network should predict.

  Raises:
    ValueError: unknown kind.
  """
  _check(kind)
  if kind == "v":
    return a * eps - s * x0
  return {"eps": eps, "x0": x0, "velocity": x0 - eps}[kind]


def to_x0(
  kind: str, pred: jax.Array, x: jax.Array, a: Factor, s: Factor
) -> jax.Array:
  """Data implied by a prediction at x; of "eps" it needs a > 0."""
  _check(kind)
  if kind == "x0":
    return pred
  if kind == "eps":
    return (x - s * pred) / a
  if kind == "v":
    return (a * x - s * pred) / (a**2 + s**2)
  return (x + s * pred) / (a + s)


def to_eps(
  kind: str, pred: jax.Array, x: jax.Array, a: Factor, s: Factor
) -> jax.Array:
  """Noise implied by a prediction at x; of "x0" it needs s > 0."""
  _check(kind)
  if kind == "eps":
    return pred
  if kind == "x0":
    return (x - a * pred) / s
  if kind == "v":
    return (s * x + a * pred) / (a**2 + s**2)
  return (x - a * pred) / (a + s)


def _check(kind: str) -> None:
  if kind not in KINDS:
    raise ValueError(f"prediction {kind!r} is none of {', '.join(KINDS)}")


def output(
  kind: str,
  pred: jax.Array,
  x: jax.Array,
  a: Factor,
  s: Factor,
  clip: float = 0.0,
  reproject: bool = True,
  scales: tuple[Any, Any] | None = None,
  **more: Any,
) -> Output:
  """`Output` of a prediction.

  Args:
    kind: of the prediction.
    pred: network output, the shape of x.
    x: noisy state.
    a: signal.
    s: noise, > 0.
    clip: limit of |x0|; 0: none. Right for pixels in [-1, 1], wrong for
      latents, which exceed it.
    reproject: after clipping, take eps from the clipped x0.
    scales: (1 / a, s / a) as float64 rounds them (`sampler.Level.scales`):
      x0 = x / a - eps s / a, the released codes' order, which shows where a is
      tiny (5e-5 at the end of the cosine schedule).
    **more: `log_var`, `aux`.
  """
  x0, eps = to_x0(kind, pred, x=x, a=a, s=s), to_eps(kind, pred, x=x, a=a, s=s)
  if scales is not None and kind == "eps":
    x0 = scales[0] * x - scales[1] * eps
  if clip:
    x0 = jnp.clip(x0, -clip, clip)
    eps = to_eps("x0", x0, x=x, a=a, s=s) if reproject else eps
  return Output(x0, eps, **more)


def edm_target(
  x0: jax.Array, eps: jax.Array, a: Factor, s: Factor, data: float
) -> jax.Array:
  """F of `edm` where x_t = a x0 + s eps: (s x0 - d^2 a eps) / (d r).

  With r = sqrt(s^2 + d^2 a^2), which also divides what the network sees of
  x_t. Of d = 1 it is -v.

  Args:
    x0: data.
    eps: noise.
    a: signal.
    s: noise.
    data: d, the deviation of the data.
  """
  return (s * x0 - data**2 * a * eps) / (data * edm_size(a, s, data))


def edm_to_x0(
  pred: jax.Array, x: jax.Array, a: Factor, s: Factor, data: float
) -> jax.Array:
  """Data implied by F at x_t: (d^2 a / r^2) x_t + (s d / r) F."""
  r = edm_size(a, s, data)
  return data**2 * a / r**2 * x + s * data / r * pred


def edm_size(a: Factor, s: Factor, data: float) -> Factor:
  """r, the deviation of x_t."""
  return (s**2 + data**2 * a**2) ** 0.5


class Preconditioning(NamedTuple):
  """EDM: D(x) = skip x + out F(inside x, time)."""

  skip: jax.Array
  out: jax.Array
  inside: jax.Array
  time: jax.Array


def edm(sigma: jax.Array, data: float = 0.5) -> Preconditioning:
  """Karras et al. 2022, table 1; `data` is the deviation of the data."""
  total = sigma**2 + data**2
  root = jnp.sqrt(total)
  return Preconditioning(
    data**2 / total, sigma * data / root, 1 / root, jnp.log(sigma) / 4
  )


def begun(
  level: Any,
  noise: jax.Array,
  data: jax.Array | None = None,
  temperature: float = 1.0,
) -> jax.Array:
  """The state that a path begins in.

  Args:
    level: signal and noise of its calls, arrays.
    noise: standard normal.
    data: noised to begin with (SDEdit); None: pure noise.
    temperature: factor of pure noise.
  """
  if data is None:
    return noise if temperature == 1 else temperature * noise
  return noised(data, noise, float(level.signal[0]), float(level.noise[0]))
