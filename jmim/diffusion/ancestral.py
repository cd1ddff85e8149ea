r"""The many-step sampler of masked diffusion, with cached predictions.

From time t to s < t a masked token stays so with probability m(s)/m(t), else
it is drawn from the prediction; a token that is seen never changes:

    q(x_s = k)  ~  p_k (m(t) - m(s)),   q(x_s = [MASK])  ~  m(s)

for all positions at once, by one draw over tokens and [MASK] together, as the
code of MDLM (kuleshov-group/mdlm@c112c52) does; N uniform steps from 1 to 0.
That draw is where float32 noise lowers the temperature (`categorical`).
"""

import jax
import jax.numpy as jnp
import numpy as np

from jmim.diffusion import categorical
from jmim.diffusion import discrete
from jmim.diffusion import first_hitting

NOISE = 2**22  # numbers drawn at a time


def _log_shares(
  schedule: discrete.Absorbing, steps: int
) -> tuple[jax.Array, jax.Array]:
  """Logarithms [steps] of what stays masked in a step, and of what does not."""
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
    mask_id: of [MASK].
    steps: N.
    schedule: of the masking.
    precision: of the draws, see `categorical.draw`.
    limit: of the Gumbel noise, see `categorical.draw`.
    timed: the network reads the time, so nothing can be kept.
    chunk: rows the network is run on at a time; 0: the batch.
  """
  b = len(init_tokens)
  keys = categorical.row_keys(key, b)
  chunk = min(chunk, b) or b
  stay, go = _log_shares(schedule, steps)
  times = jnp.linspace(1.0, 0.0, steps + 1)

  def refresh(carry):
    x, logp, stale, calls, t = carry
    some = jnp.nonzero(stale, size=chunk, fill_value=b)[0]
    part = x[jnp.minimum(some, b - 1)]
    new = discrete.subs(logits_fn(part, jnp.full(chunk, t)), part, mask_id)
    at = lambda a: a.at[some]  #   fillers are out of range
    return (
      x,
      at(logp).set(new, mode="drop"),
      at(stale).set(False, mode="drop"),
      at(calls).add(1, mode="drop"),
      t,
    )

  def body(i, carry):
    x, logp, stale, calls = carry
    carry = (x, logp, stale, calls, times[i])
    _, logp, _, calls, _ = jax.lax.while_loop(
      lambda c: c[2].any(), refresh, carry
    )
    keys_now = jax.vmap(jax.random.fold_in, (0, None))(keys, i)
    new = redrawn(
      x,
      logp,
      keys=keys_now,
      stay=stay[i],
      go=go[i],
      mask_id=mask_id,
      precision=precision,
      limit=limit,
    )
    stale = (new == mask_id).any(1)
    if not timed:
      stale &= (new != x).any(1)
    return new, logp, stale, calls

  x = init_tokens.astype(jnp.int32)
  like = jax.eval_shape(logits_fn, x, jnp.ones(b))
  carry = (
    x,
    jnp.zeros(like.shape),
    (x == mask_id).any(1),
    jnp.zeros(b, jnp.int32),
  )
  x, _, _, calls = jax.lax.fori_loop(0, steps, body, carry)
  return first_hitting.Sampled(x, calls)


def redrawn(
  x: jax.Array,
  logp: jax.Array,
  keys: jax.Array,
  stay: jax.Array,
  go: jax.Array,
  mask_id: int,
  precision: str,
  limit: float,
) -> jax.Array:
  """One step for the masked tokens of [b, l]; noise is made for them alone.

  They are taken together, so many at a time that the noise stays small: with
  a vocabulary of 50,000 a number for every position would not fit.

  Args:
    x: tokens.
    logp: [b, l, k] predictions.
    keys: [b].
    stay: log of how likely [MASK] is, against
    go: log of how likely it is to be replaced.
    mask_id: of [MASK].
    precision: of the draws.
    limit: of the noise.
  """
  (b, length), k = x.shape, logp.shape[-1]
  part = max(1, min(NOISE // k, -(-b * length // 16)))
  masked = (x == mask_id).ravel()
  room = -(-b * length // part) * part
  spots = jnp.nonzero(masked, size=room, fill_value=b * length)[0]
  is_mask = jnp.arange(k) == mask_id

  def some(carry):
    flat, start = carry
    spot = jax.lax.dynamic_slice(spots, (start,), (part,))
    row, place = jnp.divmod(jnp.minimum(spot, b * length - 1), length)
    own = jax.vmap(jax.random.fold_in)(keys[row], place)
    logq = jnp.where(is_mask, stay, logp[row, place] + go)
    drawn = categorical.draw_rows(own, logq, precision, limit)
    return flat.at[spot].set(drawn, mode="drop"), start + part

  n = masked.sum()
  flat, _ = jax.lax.while_loop(lambda c: c[1] < n, some, (x.ravel(), 0))
  return flat.reshape(x.shape)
