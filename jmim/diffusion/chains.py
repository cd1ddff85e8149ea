"""What a Markov chain says about masked tokens: a network without error."""

import jax
import jax.numpy as jnp
import numpy as np


def conditionals(
  initial: np.ndarray,
  transition: np.ndarray,
  tokens: jax.Array,
  mask_id: int,
) -> jax.Array:
  """log p(x_l | the tokens that are seen), by forward and backward messages.

  A position that is seen is left out of its own evidence.

  Args:
    initial: [v] law of the first token.
    transition: [v, v] of each next one, rows sum to 1.
    tokens: [b, l] ints.
    mask_id: id of those that are not seen.

  Returns:
    [b, l, v] float32, up to a constant of each position.
  """
  initial, transition = (
    jnp.asarray(p, jnp.float32) for p in (initial, transition)
  )
  v = len(initial)

  def one(tokens):
    masked = (tokens == mask_id)[:, None]
    seen = jnp.where(masked, 1.0, jax.nn.one_hot(tokens, v))

    def walk(first, matrix, evidence):
      def step(message, here):
        new = matrix(message * here)
        return new / new.sum(), message  # or long sequences would underflow

      return jax.lax.scan(step, first, evidence)[1]

    ahead = walk(initial, lambda m: m @ transition, seen)
    back = walk(jnp.ones(v), lambda m: transition @ m, seen[::-1])[::-1]
    return jnp.log(ahead * back)

  return jax.vmap(one)(tokens)
