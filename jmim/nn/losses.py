"""Losses that several methods choose from, and what they make of targets."""

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
