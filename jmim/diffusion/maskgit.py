r"""Filling in masked tokens several at a time, the surest first (MaskGIT).

Chang et al. 2022; equal to google-research/maskgit@1db2359 with r a Python
number, as in the golden cases. In their compiled loop r is float32 and n one
less where N gamma is a whole number (N = 9, T = 3, uniform: 2, not 3). Of N
tokens unknown at the start, T calls of a network:

    x_l   ~ softmax(logits_l)        all positions; known tokens stay
    r     = (i + 1) / T,  n = max(1, min(masked - 1, floor(N gamma(r))))
    c_l   = log p(x_l) + tau (1 - r) G_l      G standard Gumbel noise
    masked again: where c is below the n + 1-th smallest, so n or, of ties, less

The result is what was drawn in the last call, before one position would be
masked again. gamma(r), cut to [1e-6, 1]:

    cosine cos(pi r / 2)   uniform 1 - r   pow<k> 1 - r^k  (pow2, pow0.5, ...)
    log    -log2(r) / log2(N)              exp    1 - 2^(-(1 - r) log2(N))

Large tau is not a high temperature: it makes the order random, not the tokens.
Letters: b batch, l length, v tokens ([MASK] has no logit), T calls.
"""

import re
from collections.abc import Callable
from typing import Any
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jmim.diffusion import categorical
from jmim.diffusion import discrete

# tokens [b, l] -> logits [b, l, v].
Logits = Callable[[jax.Array], jax.Array]
# number of the call -> Gumbel noise of tokens [b, l, v] and of the order [b, l]
Noise = Callable[[jax.Array], tuple[jax.Array, jax.Array]]
# (log p of what was drawn, Gumbel noise, both [b, l]; tau (1 - r)) -> [b, l],
# of which the largest are kept.
Keep = Callable[[jax.Array, jax.Array, jax.Array], jax.Array]
SCHEDULES = ("cosine", "uniform", "log", "exp", "pow<number>")


class Decoded(NamedTuple):
  """Samples and how they came about.

  Attributes:
    tokens: [b, l] int32, nothing masked.
    drawn: [T, b, l] int32, the tokens of each call before some are masked.
    left: [T, b, l] int32, the same after it: what the next call reads.
  """

  tokens: jax.Array
  drawn: jax.Array
  left: jax.Array


def check(schedule: str, key: str = "") -> None:
  """Raises ValueError for a schedule that is none; key: before its name."""
  known = SCHEDULES[:-1]
  if schedule not in known and _power(schedule) is None:
    raise ValueError(
      f"{key}schedule {schedule!r} is none of {', '.join(SCHEDULES)}, the "
      "number above 0 (pow2, pow0.5)"
    )


def _power(schedule: str) -> float | None:
  """The k of "pow<k>"; None: another schedule."""
  match = re.fullmatch(r"pow(\d+\.?\d*|\.\d+)", schedule)
  power = float(match[1]) if match else 0.0
  return power or None


def mask_ratio(
  schedule: str, ratio: discrete.Array, unknown: discrete.Array | int
) -> discrete.Array:
  """gamma(r): the share of tokens that is masked.

  Args:
    schedule: its name.
    ratio: r in (0, 1], numpy (float64) or JAX, any shape.
    unknown: N, tokens that are unknown at the start; broadcasts to the ratio.

  Raises:
    ValueError: unknown schedule.
  """
  check(schedule)
  return _share(schedule, _argument(schedule, ratio), unknown)


def _argument(schedule, ratio):
  """What of gamma depends on r alone, but for its cosine or logarithm."""
  if schedule == "cosine":
    return np.pi / 2 * ratio
  if schedule == "log":
    return ratio
  return 1 - ratio ** (_power(schedule) or 1.0)  # uniform, exp: 1


def _share(schedule, x, unknown):
  """gamma of an `_argument` x."""
  xp = discrete.library(x)
  # Of one token no schedule leaves a choice; log2(1) would divide by 0.
  bits = lambda: xp.log2(xp.maximum(xp.asarray(unknown, x.dtype), 2))
  if schedule == "cosine":
    x = xp.cos(x)
  elif schedule == "log":
    x = -xp.log2(x) / bits()
  elif schedule == "exp":
    x = 1 - xp.exp2(-bits() * x)
  return xp.clip(x, 1e-6, 1.0)


def mask_count(
  share: discrete.Array, unknown: discrete.Array, hidden: discrete.Array
) -> discrete.Array:
  """n, how many of the tokens are masked again after a call.

  Args:
    share: gamma(r) of the call, see `mask_ratio`.
    unknown: [...] N.
    hidden: [...] tokens that were masked before the call.

  Returns:
    [...] ints, at least 1.
  """
  xp = discrete.library(share)
  wanted = xp.floor(unknown * share)
  return xp.maximum(1, xp.minimum(hidden - 1, wanted)).astype("int32")


def counts(schedule: str, length: int, num_iter: int) -> np.ndarray:
  """[T + 1] tokens masked before each call and after the last (0), float64.

  Of a whole sequence; those of MAR (LTH14/mar), whose last call fills in all
  that is left.

  Raises:
    ValueError: more calls than tokens, or unknown schedule.
  """
  if not 1 <= num_iter <= length:
    raise ValueError(f"{num_iter} iterations for {length} tokens")
  found = [length]
  for i in range(num_iter - 1):
    share = mask_ratio(schedule, np.asarray((i + 1) / num_iter), length)
    found.append(int(mask_count(share, length, found[-1])))
  return np.asarray([*found, 0])


def confidence(logp: jax.Array, gumbel: jax.Array, tau: jax.Array) -> jax.Array:
  """The surest are kept, more or less: log p + tau G."""
  return logp + tau * gumbel


def at_random(logp: jax.Array, gumbel: jax.Array, tau: jax.Array) -> jax.Array:
  """A uniformly random order, whatever the network is sure of."""
  del logp, tau
  return gumbel


def maskgit_decode(
  key: jax.Array,
  logits_fn: Logits,
  ids: jax.Array,
  mask_id: int,
  num_iter: int,
  schedule: str = "cosine",
  tau: float = 4.5,
  keep_fn: Keep = confidence,
) -> Decoded:
  """Fills in every [MASK]; known tokens are never touched.

  Args:
    key: one for all, folded with the row, or [b], one per row: a row depends
      on its key and its tokens alone.
    logits_fn: the network.
    ids: [b, l] ints.
    mask_id: id of [MASK], no token's.
    num_iter: T.
    schedule: of how many are masked.
    tau: noise of the order ("choice temperature").
    keep_fn: what is kept, `confidence` or `at_random`.

  Raises:
    ValueError: unknown schedule, or no call.
  """
  keys = categorical.row_keys(key, len(ids))
  shape = jax.eval_shape(logits_fn, ids).shape[1:]

  def noise(i):
    def one(key):
      k_token, k_choice = jax.random.split(jax.random.fold_in(key, i))
      gumbel = jax.random.gumbel
      return gumbel(k_token, shape), gumbel(k_choice, shape[:1])

    return jax.vmap(one)(keys)

  return decode(
    noise,
    logits_fn,
    ids,
    mask_id=mask_id,
    num_iter=num_iter,
    schedule=schedule,
    tau=tau,
    keep_fn=keep_fn,
  )


def decode(
  noise: Noise,
  logits_fn: Logits,
  ids: jax.Array,
  *,
  mask_id: int,
  num_iter: int,
  schedule: str = "cosine",
  tau: float = 4.5,
  keep_fn: Keep = confidence,
) -> Decoded:
  """`maskgit_decode` with given noise."""
  if num_iter < 1:
    raise ValueError(f"{num_iter} iterations: at least 1")
  check(schedule)
  unknown = (ids == mask_id).sum(1)

  def call(x, row):
    drawn, left = step(
      noise(row["call"]),
      logits_fn(x),
      x,
      mask_id=mask_id,
      share=_share(schedule, row["argument"], unknown),
      unknown=unknown,
      tau=row["tau"],
      keep_fn=keep_fn,
    )
    return left, (drawn, left)

  # Rounded once, as where r is a Python number: in float32 some N gamma would
  # miss a whole number, and when compiled (r is then a product with 1 / T)
  # others.
  ratio = np.arange(1, num_iter + 1) / num_iter
  rows = {
    "argument": jnp.asarray(_argument(schedule, ratio), jnp.float32),
    "tau": jnp.asarray(tau * (1 - ratio), jnp.float32),
    "call": jnp.arange(num_iter),
  }
  _, (drawn, left) = jax.lax.scan(call, ids.astype(jnp.int32), rows)
  return Decoded(drawn[-1], drawn, left)


def step(
  noise: tuple[jax.Array, jax.Array],
  logits: jax.Array,
  x: jax.Array,
  *,
  mask_id: int,
  share: jax.Array,
  unknown: jax.Array,
  tau: jax.Array | float,
  keep_fn: Keep,
) -> tuple[jax.Array, Any]:
  """(drawn, left) [b, l] of one call, see `Decoded`.

  Args:
    noise: of tokens [b, l, v] and of the order [b, l].
    logits: [b, l, v].
    x: [b, l] tokens.
    mask_id: id of [MASK].
    share: gamma(r), see `mask_ratio`.
    unknown: [b] N.
    tau: noise of the order, tau (1 - r).
    keep_fn: what is kept.
  """
  hidden, logits = x == mask_id, logits.astype(jnp.float32)
  tokens = jnp.argmax(logits + noise[0], axis=-1).astype(jnp.int32)
  logp = jax.nn.log_softmax(logits)
  logp = jnp.take_along_axis(logp, tokens[..., None], axis=-1)[..., 0]
  drawn = jnp.where(hidden, tokens, x)
  n = mask_count(share, unknown, hidden.sum(1))
  score = jnp.where(hidden, keep_fn(logp, noise[1], tau), jnp.inf)
  # By a threshold, as theirs: of scores that equal it none is masked again.
  at = jnp.minimum(n, score.shape[1] - 1)[:, None]
  again = hidden & (
    score < jnp.take_along_axis(jnp.sort(score, axis=1), at, axis=1)
  )
  return drawn, jnp.where(again, mask_id, drawn)
