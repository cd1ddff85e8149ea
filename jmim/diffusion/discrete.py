r"""Absorbing ("masked") diffusion of tokens: forward process, SUBS, losses.

Each token is replaced by [MASK], independently, with probability m(t) that
rises from 0 to 1 (alpha = 1 - m in the papers). A token never changes
otherwise, so the state of a sequence is the set of masked positions:

    continuous   E_t [ m'(t)/m(t)  sum over masked of -log p(x_l | x_t) ]
    agnostic     E_n [ L/n         sum over masked of -log p(x_l | x_n) ],
                 n uniform on 1 .. L, a uniform subset of n masked

are the same number whatever the schedule (Zheng et al. 2025; the weight is
MDLM's, Sahoo et al. 2024), an upper bound of -log p(x).

Formulas work on numpy (float64 for tables) and on JAX arrays alike. The process
that also replaces tokens (VQ-Diffusion) is in `replace`.
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

SCHEDULES = ("linear", "loglinear", "cosine", "quadratic")
FLOOR = -1e6  # the logit of what cannot be, as in MDLM's code
Array = Any  # numpy or JAX


def library(x: Array) -> Any:
  """The module whose functions take x."""
  return jnp if isinstance(x, jax.Array) else np


@dataclasses.dataclass(frozen=True)
class Absorbing:
  """How likely a token is masked at time t in [0, 1].

  Attributes:
    name: linear m = t; loglinear m = (1 - eps) t, which is noise
      -log(1 - (1 - eps) t) (MDLM); cosine m = 1 - cos(pi t/2); quadratic
      m = t^2.
    eps: of loglinear.

  Raises:
    ValueError: unknown name.
  """

  name: str = "linear"
  eps: float = 1e-3

  def __post_init__(self):
    if self.name not in SCHEDULES:
      raise ValueError(
        f"schedule {self.name!r} is none of {', '.join(SCHEDULES)}"
      )

  def masked(self, t: Array) -> Array:
    """m(t) = 1 - alpha(t) of times of any shape."""
    if self.name == "cosine":  # 1 - cos, without its cancellation
      return 2 * library(t).sin(np.pi / 4 * t) ** 2
    return {"linear": t, "loglinear": (1 - self.eps) * t, "quadratic": t * t}[
      self.name
    ]

  def time(self, m: Array) -> Array:
    """The time at which a token is masked with probability m."""
    root = library(m).sqrt
    if self.name == "cosine":
      return 4 / np.pi * library(m).arcsin(root(m / 2))
    return {"linear": m, "loglinear": m / (1 - self.eps), "quadratic": root(m)}[
      self.name
    ]

  def weight(self, t: Array) -> Array:
    """m'(t) / m(t) of the continuous loss: 1/t unless m is curved."""
    if self.name == "cosine":
      return np.pi / 2 / library(t).tan(np.pi / 4 * t)
    return (2 if self.name == "quadratic" else 1) / t


def subs(logits: jax.Array, tokens: jax.Array, mask_id: int) -> jax.Array:
  """Log-probabilities under masked diffusion's constraints (SUBS; MDLM).

  [MASK] is never predicted, and an observed token is what it is.

  Args:
    logits: [..., k], index `mask_id` included.
    tokens: [...] ints, the state.
    mask_id: id of [MASK].

  Returns:
    [..., k] float32; at observed positions 0 for the token, FLOOR for others.
  """
  at = jnp.arange(logits.shape[-1])
  logits = logits.astype(jnp.float32)
  logp = jax.nn.log_softmax(logits + jnp.where(at == mask_id, FLOOR, 0.0))
  observed = jnp.where(at == tokens[..., None], 0.0, FLOOR)
  return jnp.where((tokens == mask_id)[..., None], logp, observed)


def subset(scores: jax.Array, n: jax.Array) -> jax.Array:
  """bool [b, l]: the n [b] positions of each row with the smallest scores."""
  rank = jnp.argsort(jnp.argsort(scores, axis=-1), axis=-1)
  return rank < n[:, None]


def strata(u: jax.Array) -> jax.Array:
  """[b] uniform numbers -> one in each of b equal parts of [0, 1).

  MDLM's antithetic times: each is uniform, their mean has less variance.
  """
  return (u + jnp.arange(len(u))) / len(u)


def count(u: jax.Array, length: int) -> jax.Array:
  """Uniform [...] -> how many of `length` tokens are masked, 1 .. length."""
  n = 1 + jnp.floor(u * length).astype(jnp.int32)
  return jnp.minimum(n, length)  # u * length may be rounded up


def cross_entropy(
  logp: jax.Array, tokens: jax.Array, masked: jax.Array
) -> jax.Array:
  """[...] -log p of the clean tokens where they are masked, else 0.

  Args:
    logp: [..., k] from `subs`.
    tokens: [...] clean.
    masked: [...] bool.
  """
  logp = jnp.take_along_axis(logp, tokens[..., None], axis=-1)[..., 0]
  return jnp.where(masked, -logp, 0.0)
