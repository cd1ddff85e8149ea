"""Losses that several methods choose from, and what they make of targets."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from jmim.nn import norm


def soft_cross_entropy(logits: jax.Array, targets: jax.Array) -> jax.Array:
  """-sum_c target_c log softmax(logits)_c, mean over the batch.

  Args:
    logits: [b, c].
    targets: [b, c] probabilities.

  Returns:
    a scalar.
  """
  return -(targets * jax.nn.log_softmax(logits)).sum(-1).mean()


def smooth_cross_entropy(
  logits: jax.Array, labels: jax.Array, smoothing: float
) -> jax.Array:
  """Cross entropy with s / c on each class and 1 - s more on the label.

  Args:
    logits: [..., c].
    labels: [...] ints.
    smoothing: s.

  Returns:
    [...] float32 nats.
  """
  logp = jax.nn.log_softmax(logits.astype(jnp.float32))
  own = jnp.take_along_axis(logp, labels[..., None], axis=-1)[..., 0]
  return -((1 - smoothing) * own + smoothing * logp.mean(-1))


def cross_entropy_in_pieces(
  x: jax.Array,
  labels: jax.Array,
  scores: Callable[[jax.Array], jax.Array],
  piece: int,
) -> jax.Array:
  """-log softmax(scores(x))_label, never all scores of a sequence at once.

  In the backward pass too: they are computed again. (Of 150,000 words and 64
  places a row of a batch has 39 MB of them.)

  Args:
    x: [b, n, w].
    labels: [b, n] ints.
    scores: [b, k, w] -> logits [b, k, c].
    piece: k, places at once.

  Returns:
    [b, n] float32 nats.
  """

  @jax.checkpoint
  def nats(pair):
    logits = scores(pair[0]).astype(jnp.float32)
    own = jnp.take_along_axis(logits, pair[1][..., None], axis=-1)[..., 0]
    return jax.nn.logsumexp(logits, axis=-1) - own

  n = x.shape[1]
  if n <= piece:
    return nats((x, labels))
  more = -n % piece

  def cut(a):
    a = jnp.pad(a, ((0, 0), (0, more), *((0, 0),) * (a.ndim - 2)))
    a = a.reshape(len(a), -1, piece, *a.shape[2:])
    return jnp.moveaxis(a, 1, 0)

  found = jnp.moveaxis(jax.lax.map(nats, (cut(x), cut(labels))), 0, 1)
  return found.reshape(len(x), -1)[:, :n]


def supervised_contrastive(
  x: jax.Array, labels: jax.Array, tau: float
) -> jax.Array:
  """Tokens of one label against all others of a set (Khosla et al. 2020).

  With u = x / |x| and P(j) the tokens of j's label, j itself left out:

      -mean_j mean_{i in P(j)} log(exp(u_j u_i / tau)
                                   / sum_{k != j} exp(u_j u_k / tau))

  A token that is alone with its label counts as 0.

  Args:
    x: [b, n, w] tokens of b sets.
    labels: [b, n] integers, compared inside a set.
    tau: temperature.

  Returns:
    [b], of each set.
  """
  u = norm.unit(x)
  logits = jnp.einsum("bnw,bmw->bnm", u, u) / tau
  self = jnp.eye(x.shape[1], dtype=bool)
  logits = jnp.where(self, jnp.finfo(jnp.float32).min, logits)
  log_p = jax.nn.log_softmax(logits)
  positive = (labels[:, :, None] == labels[:, None]) & ~self
  total = jnp.where(positive, log_p, 0).sum(-1)
  return -(total / jnp.maximum(positive.sum(-1), 1)).mean(-1)


def paired(
  logits: jax.Array, same: jax.Array | None = None
) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
  """Each row is to find its column and each column its row (CLIP).

      mean_i (CE(logits_i., i) + CE(logits_.i, i)) / 2         i < n

  Args:
    logits: [n, m], pairs on the diagonal; m >= n: columns after the first n are
      nobody's, and wrong for every row.
    same: [n, m] bool, symmetric: pairs that are no negatives of each other;
      None: all others are.

  Returns:
    a float32 scalar, and the shares of rows and of columns whose greatest is
    their own.
  """
  logits, n = logits.astype(jnp.float32), len(logits)
  if same is not None:
    other = ~jnp.eye(*logits.shape, dtype=bool)
    logits = jnp.where(same & other, jnp.finfo(jnp.float32).min, logits)
  own, place = jnp.diagonal(logits), jnp.arange(n)
  ways = ((logits, 1), (logits[:, :n], 0))
  nats = [jax.nn.logsumexp(x, axis=a) - own for x, a in ways]
  right = tuple((x.argmax(a) == place).mean() for x, a in ways)
  return sum(nats).mean() / 2, right


@jax.custom_vjp
def limited(x: jax.Array, most: float) -> jax.Array:
  """min(x, most) of a parameter that can come back from beyond the limit.

  The gradient of min is 0 there, so that a parameter that once stepped over
  would stay for ever. Here descent passes wherever it leads down (a clamp of
  the parameter after each step, as CLIP has it, does the same).
  """
  return jnp.minimum(x, most)


def _limited_forward(x, most):
  return jnp.minimum(x, most), x > most


def _limited_backward(beyond, slope):
  return jnp.where(beyond, jnp.maximum(slope, 0), slope), None


limited.defvjp(_limited_forward, _limited_backward)


def smooth_l1(error: jax.Array) -> jax.Array:
  """error^2 / 2 where |error| < 1, |error| - 1/2 elsewhere; any shape."""
  size = jnp.abs(error)
  return jnp.where(size < 1, 0.5 * error * error, size - 0.5)


# Of an error, element by element.
DISTANCES = {
  "smoothl1": lambda error: 2 * smooth_l1(error),  # the square below 1
  "l2": jnp.square,
  "l1": jnp.abs,
}
# Of the features of a teacher, [..., w] -> [..., w] float32 (MaskAlign).
TARGETS = {
  "whiten": norm.whiten,
  "none": lambda x: x.astype(jnp.float32),
  "l2": norm.unit,
  "bn": norm.standardise,
}
