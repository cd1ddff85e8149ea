r"""Sampling masked diffusion exactly, with one network call per token.

Zheng et al. 2025 (arXiv 2409.02908). With n tokens masked at time tau, the
next is revealed at

    m(tau') = m(tau) u^(1/n)          u ~ U(0, 1),  m = 1 - alpha

at a uniformly random masked position, drawn from the network's prediction
there; nothing happens in between. So L calls and L draws give what a sampler
of infinitely many steps would. After the h-th hit of L, m is the order
statistic Beta(L - h + 1, h) of uniforms. The times matter only to a network
that is conditioned on them.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jmim.diffusion import categorical
from jmim.diffusion import discrete

# (tokens [b, l], times [b]) -> logits [b, l, k], [MASK] included.
Logits = Callable[[jax.Array, jax.Array], jax.Array]
LINEAR = discrete.Absorbing("linear")


class Sampled(NamedTuple):
  """Samples and what they cost.

  Attributes:
    tokens: [b, l] int32.
    calls: [b] int32, predictions of the network made for each row.
  """

  tokens: jax.Array
  calls: jax.Array


def hitting_times(
  u: discrete.Array,
  masked: discrete.Array | int,
  schedule: discrete.Absorbing = LINEAR,
) -> discrete.Array:
  """Times after each hit: m(tau_h) = m(1) u_1^(1/n) ... u_h^(1/(n-h+1)).

  Args:
    u: [..., l] uniform; column h is used for hit h.
    masked: [...] or one int: tokens masked at time 1, at most l.
    schedule: of the masking.

  Returns:
    [..., l] decreasing times; 0 after the last hit of a row.
  """
  xp = discrete.library(u)
  # n - h tokens are masked before hit h = 0, 1, ...; none: log m = -inf.
  remaining = xp.asarray(masked)[..., None] - xp.arange(u.shape[-1])
  logs = xp.where(remaining > 0, xp.log(u) / xp.maximum(remaining, 1), -xp.inf)
  start = schedule.masked(1.0)
  return schedule.time(start * xp.exp(xp.cumsum(logs, axis=-1)))


def order_statistics(length: int) -> tuple[np.ndarray, np.ndarray]:
  """(mean, variance) [length] of m after each hit: Beta(n, length - n + 1).

  n = length .. 1 tokens are masked before the hit.
  """
  # Beta(a, b), a + b = length + 1: mean a / (a + b), variance
  # a b / ((a + b)^2 (a + b + 1)).
  a = np.arange(length, 0, -1.0)
  total = length + 1
  return a / total, a * (total - a) / (total**2 * (total + 1))


def fhs_sample(
  key: jax.Array,
  logits_fn: Logits,
  init_tokens: jax.Array,
  mask_id: int,
  num_calls: int | None = None,
  schedule: discrete.Absorbing = LINEAR,
  precision: str = "f32",
  order: int = 1,
) -> Sampled:
  """Fills in every [MASK]; observed tokens are never touched.

  A row with n masked tokens takes n calls, or min(n, num_calls): then each call
  reveals about n / num_calls tokens from the same prediction, as if they were
  independent. Rows may differ in n; those that are done wait unchanged.

  Args:
    key: one for all, folded with the row, or [b], one per row.
    logits_fn: the network; its times are those at which the tokens it predicts
      are revealed (of several, the last).
    init_tokens: [b, l] ints.
    mask_id: id of [MASK].
    num_calls: at most so many per row; None: one token at a time.
    schedule: of the masking; only for the times.
    precision: of the draws, see `categorical.draw`.
    order: 2: of the tokens that a call reveals, those after the first are drawn
      from its prediction extrapolated, linearly in time, from the one before.
      Without effect where a call reveals one token. (After the paper's idea
      of high-order variants, from memory; its formulas were not at hand.)
  """
  b, length = init_tokens.shape
  keys = categorical.row_keys(key, b)
  k_times, k_walk = jnp.moveaxis(jax.vmap(jax.random.split)(keys), 1, 0)
  n = (init_tokens == mask_id).sum(1)
  calls = n if num_calls is None else jnp.minimum(n, num_calls)
  width = 1 if num_calls is None else -(-length // num_calls)
  times = _draw_times(k_times, n, length, schedule)
  # Time after h hits, [b, j] of [b, j]; and hits before call k.
  time_of = lambda h: jnp.take_along_axis(times, h, axis=1)
  hits_before = lambda k: n * jnp.minimum(k, calls) // jnp.maximum(calls, 1)
  rows = jnp.arange(b)[:, None]

  def body(k, carry):
    x, before, then = carry
    first, last = hits_before(k), hits_before(k + 1)
    now = time_of(jnp.minimum(first + 1, length)[:, None])[:, 0]
    logits = logits_fn(x, time_of(last[:, None])[:, 0])
    logp = discrete.subs(logits, x, mask_id)
    pair = jax.vmap(lambda q: jax.random.split(jax.random.fold_in(q, k)))
    k_place, k_token = jnp.moveaxis(pair(k_walk), 1, 0)
    # Uniform positions among the masked ones, and log p there.
    place = _draw_places(k_place, x == mask_id, width)
    there = logp[rows, place]
    if order == 2:
      hits = jnp.minimum(first[:, None] + 1 + jnp.arange(width), length)
      ratio = _ratio(now, time_of(hits), then)
      ratio = jnp.where(k > 0, ratio, 0.0)[..., None]
      there = extrapolate(there, before[rows, place], ratio)
    drawn = categorical.draw_rows(k_token, there, precision)
    reveal = jnp.arange(width) < (last - first)[:, None]
    x = x.at[rows, place].set(jnp.where(reveal, drawn, x[rows, place]))
    return x, logp if order == 2 else before, now

  x = init_tokens.astype(jnp.int32)
  before = jnp.zeros(())
  if order == 2:
    before = jnp.zeros(jax.eval_shape(logits_fn, x, jnp.ones(b)).shape)
  x = jax.lax.fori_loop(0, calls.max(), body, (x, before, jnp.ones(b)))[0]
  return Sampled(x, calls)


def _draw_times(keys, n, length, schedule) -> jax.Array:
  """[b, length + 1] times; column h is that after h hits, 1 for none."""
  tiny = jnp.finfo(jnp.float32).tiny  # log(u) is finite
  draw = lambda k: jax.random.uniform(k, (length,), minval=tiny)
  times = hitting_times(jax.vmap(draw)(keys), n, schedule)
  return jnp.concatenate([jnp.ones((len(n), 1)), times], axis=1)


def _draw_places(keys, masked, width) -> jax.Array:
  """[b, width] random masked positions first, any others after them."""
  draw = lambda k: jax.random.uniform(k, masked.shape[1:])
  score = jnp.where(masked, jax.vmap(draw)(keys), -1.0)
  return jax.lax.top_k(score, width)[1]


def _ratio(now, times, then) -> jax.Array:
  """(now - times) / (then - now): [b, j] steps in units of the last one."""
  return (now[:, None] - times) / jnp.maximum(then - now, 1e-6)[:, None]


def extrapolate(
  logp: jax.Array, before: jax.Array, ratio: jax.Array
) -> jax.Array:
  """log of p + ratio (p - p_before), negative probabilities cut off.

  Args:
    logp: [..., k] the prediction.
    before: [..., k] the one of the call before, log p_before.
    ratio: broadcasts to [..., k].

  Returns:
    [..., k], not normalised.
  """
  p = jnp.exp(logp)
  return jnp.log(jnp.maximum(p + ratio * (p - jnp.exp(before)), 1e-30))
