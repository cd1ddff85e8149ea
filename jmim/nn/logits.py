"""Changes of attention logits before the softmax, for `attention.Edit`."""

import jax
import jax.numpy as jnp

# exp of it, less any logit of a row, is exactly 0; -inf could make NaN.
HIDDEN = jnp.finfo(jnp.float32).min


def strongest(
  logits: jax.Array,
  keep: int,
  *,
  free: int = 0,
  on: jax.Array | bool = True,
) -> jax.Array:
  """Leaves each query its `keep` largest logits; the others become HIDDEN.

  The first `free` tokens are free of it: as queries they see everything, as
  keys all see them, beside the `keep`. Logits that equal the smallest of the
  `keep` all stay. No gradient flows through the choice.

  Args:
    logits: [b, h, t, s] float32; t = s if `free`.
    keep: keys left to each query, 1 .. s - free.
    free: tokens, the first, of which nothing is hidden.
    on: scalar; where it is False nothing is hidden at all.
  """
  others = logits[..., free:]
  least = jax.lax.top_k(jax.lax.stop_gradient(others), keep)[0][..., -1:]
  seen = (others >= least) | jnp.logical_not(on)
  row = jnp.arange(logits.shape[-2])[:, None]
  others = jnp.where(seen | (row < free), others, HIDDEN)
  return jnp.concatenate([logits[..., :free], others], axis=-1)
