"""Dropout whose zeros belong to examples, not to the batch they are in."""

import jax
import jax.numpy as jnp


def dropout(
  x: jax.Array,
  keys: jax.Array | None,
  rate: float,
  site: int | jax.Array,
) -> jax.Array:
  """Dropout of [b, ..] with a key per example, whatever the batch is split in.

  Args:
    x: [b, ..].
    keys: [b, 2] uint32 key data; None: no dropout.
    rate: share of zeros.
    site: number of the place in the network, folded into the keys.
  """
  if keys is None or not rate:
    return x

  def keep(data):
    key = jax.random.fold_in(jax.random.wrap_key_data(data), site)
    return jax.random.bernoulli(key, 1 - rate, x.shape[1:])

  return jnp.where(jax.vmap(keep)(keys), x / (1 - rate), 0).astype(x.dtype)


def draw(key: jax.Array, rate: float, batch: int) -> dict[str, jax.Array]:
  """{"dropout": [b, 2] uint32} for a method's draws; {} if the rate is 0."""
  if not rate:
    return {}
  return {"dropout": jax.random.bits(key, (batch, 2), jnp.uint32)}
