"""Sampling of mask-and-replace diffusion (`replace`), and what bends it.

Gu et al. 2022 and Tang et al. 2022 (microsoft/VQ-Diffusion@d1d3948). From
x_{T-1}, usually all [MASK], to x_{-1}:

    x_{t-1} ~ p(x_{t-1} | x_t), the posterior of p(x_0 | x_t)

guided (against no condition), truncated (the likeliest codes) or by the purity
prior, which reveals so many masked tokens per call, sure ones first.

Letters: b batch, l length, k classes, the last of them [MASK].
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from jmim.diffusion import categorical
from jmim.diffusion import discrete
from jmim.diffusion import replace

RULES = ("posterior", "purity", "random")
# (tokens [b, l], time) -> log p(x_0 | x_t) [b, l, k].
Predict = Callable[[jax.Array, jax.Array], jax.Array]
# (number of the call, log-probabilities [b, l, k]) -> ints [b, l].
Pick = Callable[[jax.Array, jax.Array], jax.Array]
# number of the call -> Gumbel noise [b, l] of the order.
Order = Callable[[jax.Array], jax.Array]


def truncated(logp: jax.Array, share: float) -> jax.Array:
  """The likeliest codes, as few as hold `share`, others -70.

  Not normalised again; codes as likely as the last kept one are kept.

  Args:
    logp: [b, l, k].
    share: r of "top r", in (0, 1].
  """
  ranked = -jnp.sort(-logp, axis=-1)
  before = jnp.cumsum(jnp.exp(ranked), axis=-1)[..., :-1] < share
  last = jnp.take_along_axis(ranked, before.sum(-1, keepdims=True), axis=-1)
  return jnp.where(logp >= last, logp, replace.LEAST)


def guided(logp: jax.Array, null: jax.Array, scale: float) -> jax.Array:
  """null + scale (logp - null), normalised again; all [b, l, k]."""
  logp, null = logp[..., :-1], null[..., :-1]
  moved = null + scale * (logp - null)
  return replace.with_mask(
    jnp.clip(jax.nn.log_softmax(moved), replace.LEAST, 0.0)
  )


def purity(logp: jax.Array) -> jax.Array:
  """[b, l] how sure p(x_0 | x_t) is of a token, over the surest of a row."""
  score = jnp.clip(jnp.exp(logp.max(-1)), 0.0, 1.0)
  return score / (score.max(1, keepdims=True) + 1e-10)


def sharpened(logp: jax.Array, score: jax.Array, weight: float) -> jax.Array:
  """softmax((1 + weight score) logp) as log-probabilities [b, l, k]."""
  moved = (1 + weight * score)[..., None] * logp
  return jnp.clip(jax.nn.log_softmax(moved), replace.LEAST, 0.0)


def path(times: int, stride: int) -> tuple[np.ndarray, np.ndarray]:
  """Times [calls] of the network, and those of the posterior it is put into.

  As the released code skips `stride - 1` times: predicted at t, the posterior
  of t - stride + 1; the last ones below a stride are not skipped.
  """
  at = list(range(times - 1, -1, -stride))
  at += [0] if at[-1] else []
  skip = stride - 1
  return np.array(at), np.array([t - skip if t > skip else t for t in at])


def reveals(length: int, calls: int) -> np.ndarray:
  """[calls] tokens revealed by each call of the purity prior.

  The released table of 1024 tokens in 100 calls (whose last call draws all that
  is left, not its 1 more); else as even as can be.
  """
  if (length, calls) == (1024, 100):
    return np.array([11, 11, *[10, 10, 11] * 32, 10, 1])
  return np.diff(np.round(np.linspace(0, length, calls + 1))).astype(int)


def given(u: jax.Array) -> Pick:
  """Draws by uniform numbers [calls, b, l, k]."""
  return lambda i, logp: categorical.pick(logp, u[i])


def own(
  keys: jax.Array, length: int, precision: str = "f32"
) -> tuple[Pick, Order]:
  """Draws, and noise of an order, by a key per row: [b] keys.

  Args:
    keys: a row depends on its own alone.
    length: tokens of a row.
    precision: of the draws, see `categorical.draw`.
  """
  fold = lambda i: jax.vmap(jax.random.fold_in, (0, None))(keys, i)
  both = lambda i: jax.vmap(jax.random.split)(fold(i))
  gumbel = jax.vmap(lambda key: jax.random.gumbel(key, (length,)))
  pick = lambda i, p: categorical.draw_rows(both(i)[:, 0], p, precision)
  return pick, lambda i: gumbel(both(i)[:, 1])


def chain(
  process: replace.Replace,
  predict: Predict,
  pick: Pick,
  start: jax.Array,
  *,
  stride: int = 1,
  rule: str = "posterior",
  order: Order | None = None,
  sharpen: float = 0.0,
) -> jax.Array:
  """Tokens [calls, b, l] after each call; the last are the sample.

  Args:
    process: the noise.
    predict: log p(x_0 | x_t), guided and truncated as is wished.
    pick: draws tokens, by given or own noise.
    start: [b, l] tokens x_{T-1}.
    stride: times from one call to the next.
    rule: "posterior" draws all tokens from it. The others reveal a number of
      masked tokens per call (`reveals`), drawn from p(x_0 | x_t), and keep them
      until the last call: "purity" those the network is sure of, the likelier
      the surer, "random" any.
    order: noise of the other rules.
    sharpen: of "purity", see `sharpened`.

  Raises:
    ValueError: unknown rule.
  """
  if rule not in RULES:
    raise ValueError(f"rule {rule!r} is none of {', '.join(RULES)}")
  at, of_posterior = path(process.times, stride)
  counts = reveals(start.shape[1], len(at))

  def revealed(x, i, logp, count):
    """(which tokens are drawn, and from what), by the rules that reveal."""
    score = purity(logp) if rule == "purity" else jnp.ones(x.shape)
    hidden = x == process.mask_id
    rank = jnp.where(hidden, jnp.log(score) + order(i), -jnp.inf)
    chosen = discrete.subset(-rank, jnp.full(len(x), count)) & hidden
    return chosen, sharpened(logp, score, sharpen if rule == "purity" else 0.0)

  def call(x, now):
    i, t, back, count = now
    each = lambda t: jnp.full(len(x), t)
    logp = predict(x, t)
    after = process.posterior(logp, x, each(back))
    if rule != "posterior":
      chosen, drawn_from = revealed(x, i, logp, count)
      after = jnp.where(t == 0, after, drawn_from)
    drawn = pick(i, after)
    if rule != "posterior":
      drawn = jnp.where(chosen | (t == 0), drawn, x)
    return drawn, drawn

  steps = (np.arange(len(at)), at, of_posterior, counts)
  _, tokens = jax.lax.scan(
    call, start.astype(jnp.int32), jax.tree.map(jnp.asarray, steps)
  )
  return tokens


def order(tokens: jax.Array) -> jax.Array:
  """[b, l] the call that last changed a token, 0 .. calls - 1.

  Args:
    tokens: [calls, b, l] of `chain`; what the first call makes is a change.
  """
  same = (tokens == tokens[-1])[::-1].astype(jnp.int32)
  return len(tokens) - jnp.cumprod(same, axis=0).sum(0)
