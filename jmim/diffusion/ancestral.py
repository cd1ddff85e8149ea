r"""The many-step sampler of masked diffusion, with cached predictions.

From time t to s < t a masked token stays so with probability m(s)/m(t), else
it is drawn from the prediction; an observed token never changes:

    q(x_s = k)  ~  p_k (m(t) - m(s)),   q(x_s = [MASK])  ~  m(s)

for all positions at once, by one draw over tokens and [MASK] together, as the
code of MDLM (kuleshov-group/mdlm@c112c52) does; N uniform steps from 1 to 0.
That draw is where float32 noise lowers the temperature (`categorical`).
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jmim.diffusion import categorical
from jmim.diffusion import discrete
from jmim.diffusion import first_hitting

NOISE = 2**22  # Gumbel numbers made at a time


def _log_shares(
  schedule: discrete.Absorbing, steps: int
) -> tuple[jax.Array, jax.Array]:
  """[steps] logarithms of m(s), and of m(t) - m(s), of each step from t to s.

  The last step ends at s = 0, where no schedule leaves anything masked.
  """
  levels = schedule.masked(np.linspace(1.0, 0.0, steps + 1))
  levels[-1] = 0.0
  with np.errstate(divide="ignore"):
    stay = np.log(levels[1:])
  go = np.log(-np.diff(levels))
  return jnp.asarray(stay, jnp.float32), jnp.asarray(go, jnp.float32)


def ancestral_sample(
  key: jax.Array,
  logits_fn: first_hitting.Logits,
  init_tokens: jax.Array,
  mask_id: int,
  steps: int,
  schedule: discrete.Absorbing = first_hitting.LINEAR,
  precision: str = "f64",
  limit: float = 0.0,
  timed: bool = False,
  chunk: int = 0,
) -> first_hitting.Sampled:
  """Fills in every [MASK] in `steps` steps.

  The prediction of a row is kept while the row does not change, so a row of l
  tokens costs at most min(steps, l) calls, and a row that is full none.

  Args:
    key: one for all, folded with the row, or [b], one per row.
    logits_fn: the network.
    init_tokens: [b, l] ints.
    mask_id: id of [MASK].
    steps: number N of steps.
    schedule: of the masking.
    precision: of the draws, see `categorical.draw`.
    limit: of the Gumbel noise, see `categorical.draw`.
    timed: the network depends on the time, so no prediction can be kept.
    chunk: rows the network is run on at a time; 0: the batch.
  """
  b = len(init_tokens)
  keys = categorical.row_keys(key, b)
  stay, go = _log_shares(schedule, steps)
  times = jnp.linspace(1.0, 0.0, steps + 1)
  refresh = functools.partial(
    _refresh, logits_fn, mask_id=mask_id, chunk=min(chunk, b) or b
  )

  def body(i, carry):
    x, cache = carry
    cache = refresh(x, cache, time=times[i])
    new = redraw(
      x,
      cache.logp,
      keys=jax.vmap(jax.random.fold_in, (0, None))(keys, i),
      stay=stay[i],
      go=go[i],
      mask_id=mask_id,
      precision=precision,
      limit=limit,
    )
    stale = (new == mask_id).any(1)
    if not timed:
      stale &= (new != x).any(1)
    return new, cache._replace(stale=stale)

  x = init_tokens.astype(jnp.int32)
  cache = _Cache(
    logp=jnp.zeros(jax.eval_shape(logits_fn, x, jnp.ones(b)).shape),
    stale=(x == mask_id).any(1),
    calls=jnp.zeros(b, jnp.int32),
  )
  x, cache = jax.lax.fori_loop(0, steps, body, (x, cache))
  return first_hitting.Sampled(x, cache.calls)


class _Cache(NamedTuple):
  """Predictions of rows that did not change.

  Attributes:
    logp: [b, l, k].
    stale: [b] rows whose prediction is needed and no longer theirs.
    calls: [b] predictions made so far.
  """

  logp: jax.Array
  stale: jax.Array
  calls: jax.Array


def _refresh(logits_fn, x, cache, *, time, mask_id, chunk) -> _Cache:
  """Predictions of all stale rows, `chunk` of them at a time."""
  b = len(x)

  def some(cache):
    rows = jnp.nonzero(cache.stale, size=chunk, fill_value=b)[0]
    part = x[jnp.minimum(rows, b - 1)]
    new = discrete.subs(logits_fn(part, jnp.full(chunk, time)), part, mask_id)
    # Rows that fill up the chunk are out of range, and dropped.
    return _Cache(
      logp=cache.logp.at[rows].set(new, mode="drop"),
      stale=cache.stale.at[rows].set(False, mode="drop"),
      calls=cache.calls.at[rows].add(1, mode="drop"),
    )

  return jax.lax.while_loop(lambda cache: cache.stale.any(), some, cache)


def redraw(
  x: jax.Array,
  logp: jax.Array,
  keys: jax.Array,
  stay: jax.Array,
  go: jax.Array,
  mask_id: int,
  precision: str,
  limit: float,
) -> jax.Array:
  """One step from t to s for the masked tokens of [b, l]; [b, l] int32.

  Noise is made for them alone. They are taken together, so many at a time that
  the noise stays small: with a vocabulary of 50,000 a number for every position
  would not fit.

  Args:
    x: [b, l] tokens.
    logp: [b, l, k] predictions.
    keys: [b].
    stay: log m(s), how likely [MASK] stays,
    go: log (m(t) - m(s)), how likely it is replaced; not normalised.
    mask_id: id of [MASK].
    precision: of the draws.
    limit: of the noise.
  """
  b, length, k = logp.shape
  part = max(1, min(NOISE // k, -(-b * length // 16)))
  masked = (x == mask_id).ravel()
  # All positions, rounded up to whole parts; those of masked tokens first.
  capacity = -(-b * length // part) * part
  spots = jnp.nonzero(masked, size=capacity, fill_value=b * length)[0]
  is_mask = jnp.arange(k) == mask_id

  def some(carry):
    flat, start = carry
    spot = jax.lax.dynamic_slice(spots, (start,), (part,))
    row, place = jnp.divmod(jnp.minimum(spot, b * length - 1), length)
    key_of_place = jax.vmap(jax.random.fold_in)(keys[row], place)
    # log q(x_s = k) = log p_k + log(m(t) - m(s)),  log q([MASK]) = log m(s).
    logq = jnp.where(is_mask, stay, logp[row, place] + go)
    drawn = categorical.draw_rows(key_of_place, logq, precision, limit)
    return flat.at[spot].set(drawn, mode="drop"), start + part

  n = masked.sum()
  flat, _ = jax.lax.while_loop(lambda c: c[1] < n, some, (x.ravel(), 0))
  return flat.reshape(x.shape)
