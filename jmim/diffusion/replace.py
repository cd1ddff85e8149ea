r"""Mask-and-replace diffusion of tokens, in log space (VQ-Diffusion).

Gu et al. 2022; `replace_chain` samples. At each of T times a code stays with
probability alpha_t, becomes any of the K codes with beta_t each, and [MASK]
with gamma_t; [MASK] stays. Over the first t + 1 times these are A_t, B_t, C_t
(the papers' alpha, beta, gamma with a bar), A and C linear in t:

    alpha_t = A_t / A_{t-1}         gamma_t = 1 - (1 - C_t) / (1 - C_{t-1})
    beta_t  = (1 - alpha_t - gamma_t) / K          B_t = (1 - A_t - C_t) / K
    q(x_t | x_0 = v) = A_t [x_t = v] + B_t,        C_t for [MASK]
    p(x_{t-1} | x_t) = sum_v q(x_{t-1} | x_t, x_0 = v) p(x_0 = v | x_t)

Following microsoft/VQ-Diffusion@d1d3948: log 1e-30 stands for log 0, results
are cut to [-70, 0] and the posterior is not normalised again; columns of the
transitions are read through the functions of their rows, which is right as
codes are exchangeable. Theirs normalises p(x_0 | x_t) in float64, ours in
float32. Where B is 0 the posterior of a visible token is p(x_0 = x_t | x_t),
not 1: 0 / 0 is read so there.

Letters: b batch, l length, k = K + 1 classes, the last of them [MASK]; times
0 .. T - 1, and -1 before any noise.
"""

import dataclasses
import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

ZERO = float(np.log(1e-30))  # stands for log 0
LEAST = -70.0  # of any log-probability that is a result


class Tables(NamedTuple):
  """Logarithms, float32: of one step [T]; of all so far [T + 1], t = -1 last.

  Attributes:
    keep: alpha.
    swap: beta, one code.
    mask: gamma.
    unmasked: 1 - gamma.
    keep_all: A.
    swap_all: B.
    mask_all: C.
    unmasked_all: 1 - C.
  """

  keep: np.ndarray
  swap: np.ndarray
  mask: np.ndarray
  unmasked: np.ndarray
  keep_all: np.ndarray
  swap_all: np.ndarray
  mask_all: np.ndarray
  unmasked_all: np.ndarray


@dataclasses.dataclass(frozen=True, kw_only=True)
class Replace:
  """The process.

  Attributes:
    codes: K.
    times: T, at least 2.
    keep_first: A_0 (att_1 of the released code).
    keep_last: A_{T-1} (att_T).
    mask_first: C_0 (ctt_1).
    mask_last: C_{T-1} (ctt_T).

  Raises:
    ValueError: end points between which there is no process.
  """

  codes: int
  times: int = 100
  keep_first: float = 0.99999
  keep_last: float = 9e-6
  mask_first: float = 9e-6
  mask_last: float = 0.99999

  def __post_init__(self):
    keep, mask = self.keep_first, self.mask_first
    ends = f"{keep} to {self.keep_last}, {mask} to {self.mask_last}"
    if not (0 < self.keep_last <= keep and 0 <= mask <= self.mask_last < 1):
      raise ValueError(
        f"kept and masked go from {ends}: what is kept may only fall, above 0, "
        "what is masked only rise, below 1 (mask_last 0 needs mask_first 0)"
      )
    if max(keep + mask, self.keep_last + self.mask_last) > 1 + 1e-12:
      raise ValueError(f"kept and masked go from {ends}: they sum to above 1")

  @property
  def mask_id(self) -> int:
    """The id of [MASK]."""
    return self.codes

  @functools.cached_property
  def tables(self) -> Tables:
    """From float64, as the released code makes them."""
    ramp = np.arange(self.times) / (self.times - 1)
    keep = ramp * (self.keep_last - self.keep_first) + self.keep_first
    mask = ramp * (self.mask_last - self.mask_first) + self.mask_first
    keep_1 = keep / np.concatenate([[1.0], keep[:-1]])
    mask_1 = 1 - (1 - mask) / (1 - np.concatenate([[0.0], mask[:-1]]))
    keep, mask = np.append(keep, 1.0), np.append(mask, 0.0)
    return Tables(
      *_logs(keep_1, mask_1, self.codes), *_logs(keep, mask, self.codes)
    )

  def one_hot(self, ids: jax.Array) -> jax.Array:
    """Log-probabilities [b, l, k] of known tokens [b, l]."""
    return jnp.where(ids[..., None] == jnp.arange(self.codes + 1), 0.0, ZERO)

  def forward(self, logx: jax.Array, t: jax.Array) -> jax.Array:
    """log q(x_t) of log-probabilities of x_0; all [b, l, k].

    As the released code has it, of distributions on codes: from [MASK] it would
    also lead to codes.

    Args:
      logx: [b, l, k], one-hot or not.
      t: [b] ints, -1 .. T - 1.
    """
    return self._mixed(logx, self.tables[4:], jnp.mod(t, self.times + 1))

  def step(self, logx: jax.Array, t: jax.Array) -> jax.Array:
    """log q(x_t) of log-probabilities of x_{t-1}; t [b] in 0 .. T - 1."""
    return self._mixed(logx, self.tables[:4], t)

  def _mixed(self, logx, tables, t):
    keep, swap, mask, unmasked = (_at(table, t) for table in tables)
    codes = jnp.logaddexp(logx[..., :-1] + keep, swap)
    last = jnp.logaddexp(logx[..., -1:] + unmasked, mask)
    return jnp.concatenate([codes, last], axis=-1)

  def prior(self) -> jax.Array:
    """Log-probabilities [k] of x_{T-1} if every code is as likely."""
    mask = np.float64(np.exp(np.float64(self.tables.mask_all[-2])))
    rows = np.append(np.full(self.codes, (1 - mask) / self.codes), mask)
    return jnp.asarray(np.log(np.maximum(rows, 1e-30)), jnp.float32)

  def noised(
    self, x0: jax.Array, t: jax.Array, u: jax.Array, code: jax.Array
  ) -> jax.Array:
    """x_t [b, l], a draw from q(x_t | x_0) by two small draws per token.

    Equal in law to `categorical.pick` of `forward`, without [b, l, k] numbers.

    Args:
      x0: [b, l] codes.
      t: [b] ints.
      u: [b, l] uniform.
      code: [b, l] uniform ints below K, which replace.
    """
    mask, swap = (
      jnp.exp(_at(table, t)[..., 0])
      for table in (self.tables.mask_all, self.tables.swap_all)
    )
    swapped = jnp.where(u < mask + self.codes * swap, code, x0)
    return jnp.where(u < mask, self.mask_id, swapped).astype(jnp.int32)

  def posterior(self, logp: jax.Array, x: jax.Array, t: jax.Array) -> jax.Array:
    """log p(x_{t-1} | x_t) [b, l, k], given a distribution of x_0.

    Args:
      logp: [b, l, k] log p(x_0 | x_t), or `one_hot` of a known x_0.
      x: [b, l] tokens x_t.
      t: [b] ints, 0 .. T - 1.
    """
    tables, masked = self.tables, (x == self.mask_id)[..., None]
    seen = self.one_hot(x)
    # q(x_t | x_0 = v) and q(x_t | x_{t-1} = v) for each code v.
    by_start = self.forward(seen, t)[..., :-1]
    by_start = jnp.where(masked, _at(tables.mask_all, t), by_start)
    by_last = self.step(seen, t)[..., :-1]
    by_last = jnp.where(masked, _at(tables.mask, t), by_last)
    by_mask = jnp.where(masked, 0.0, ZERO)
    q = logp[..., :-1] - by_start
    q = jnp.concatenate([q, jnp.full_like(q[..., :1], ZERO)], axis=-1)
    total = jax.nn.logsumexp(q, axis=-1, keepdims=True)
    earlier = self.forward(q - total, t - 1) + total
    joint = earlier + jnp.concatenate([by_last, by_mask], axis=-1)
    return jnp.clip(joint, LEAST, 0.0)

  def terms(
    self, logp: jax.Array, x0: jax.Array, x: jax.Array, t: jax.Array
  ) -> jax.Array:
    """[b, l] nats: a term of the bound of -log p(x_0).

    KL of q(x_{t-1} | x_t, x_0) and p(x_{t-1} | x_t); at t = 0, -log of the
    latter at x_0.

    Args:
      logp: [b, l, k] log p(x_0 | x_t).
      x0: [b, l] codes.
      x: [b, l] tokens x_t.
      t: [b] ints.
    """
    true = self.posterior(self.one_hot(x0), x, t)
    model = self.posterior(logp, x, t)
    divergence = (jnp.exp(true) * (true - model)).sum(-1)
    return jnp.where(t[:, None] == 0, -of(model, x0), divergence)

  def last(self, x0: jax.Array) -> jax.Array:
    """[b] nats: KL of q(x_{T-1} | x_0) and `prior`, the bound's last term."""
    logq = self.forward(self.one_hot(x0), jnp.full(len(x0), self.times - 1))
    return (jnp.exp(logq) * (logq - self.prior())).sum((1, 2))


def _logs(keep, mask, codes):
  """Logarithms of keep, swap, mask and 1 - mask, float32."""
  # Where nothing is replaced, rounding leaves +-1e-17 of 0.
  swap = np.maximum((1 - keep - mask) / codes, 0.0)
  with np.errstate(divide="ignore"):
    logs = (np.log(keep), np.log(swap), np.log(mask), np.log(1 - mask + 1e-40))
  return [x.astype(np.float32) for x in logs]


def _at(table: np.ndarray, t: jax.Array) -> jax.Array:
  """[b, 1, 1], the entries of times [b]."""
  return jnp.asarray(table)[t][:, None, None]


def at_random(u: jax.Array, times: int) -> jax.Array:
  """Uniform [b] in [0, 1) -> times [b], each as likely."""
  return jnp.minimum((u * times).astype(jnp.int32), times - 1)


def of(logp: jax.Array, ids: jax.Array) -> jax.Array:
  """[b, l], log-probabilities [b, l, k] of tokens [b, l]."""
  return jnp.take_along_axis(logp, ids[..., None], axis=-1)[..., 0]


def predicted(logits: jax.Array) -> jax.Array:
  """log p(x_0 | x_t) [b, l, k] of logits [b, l, K]: never [MASK]."""
  logp = jax.nn.log_softmax(logits.astype(jnp.float32))
  return with_mask(jnp.clip(logp, LEAST, 0.0))


def with_mask(logp: jax.Array) -> jax.Array:
  """Codes [b, l, K] and [MASK], which is never x_0."""
  return jnp.concatenate([logp, jnp.full_like(logp[..., :1], LEAST)], axis=-1)
