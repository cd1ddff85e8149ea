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
