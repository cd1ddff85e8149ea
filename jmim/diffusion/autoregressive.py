"""Tokens one by one: what may be drawn, and the loop that draws.

    top-k   of the logits only the k largest
    top-p   of these the smallest set whose probabilities reach p (Holtzman et
            al. 2020): the first that passes p is among it

Letters: b batch, l tokens to be drawn, v different ones.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jmim.diffusion import categorical

# (state, tokens before [b], number of the token) -> logits [b, v], new state.
Advance = Callable[[Any, jax.Array, jax.Array], tuple[jax.Array, Any]]


def truncated(
  logits: jax.Array, top_k: int = 0, top_p: float = 1.0
) -> jax.Array:
  """Logits with -inf for what is not to be drawn; the likeliest always stays.

  Of equal logits those of lower numbers come first: never more than k stay.

  Args:
    logits: [..., v].
    top_k: k; 0: all.
    top_p: p in (0, 1]; 1: all.
  """
  v = logits.shape[-1]
  top_k = min(top_k or v, v)
  if top_k == v and top_p >= 1:
    return logits
  if top_k == 1:  # nothing needs to be sorted
    best = jnp.argmax(logits, axis=-1, keepdims=True)
    return jnp.where(jnp.arange(v) == best, logits, -jnp.inf)
  order = jnp.argsort(-logits, axis=-1, stable=True)
  ranked = jnp.take_along_axis(logits, order, axis=-1)
  inside = jnp.arange(v) < top_k
  p = jax.nn.softmax(jnp.where(inside, ranked, -jnp.inf))
  before = jnp.cumsum(p, axis=-1) - p
  keep = inside & ((before < top_p) | (jnp.arange(v) == 0))
  place = jnp.argsort(order, axis=-1)
  keep = jnp.take_along_axis(keep, place, axis=-1)
  return jnp.where(keep, logits, -jnp.inf)


def generate(
  keys: jax.Array,
  advance: Advance,
  state: Any,
  first: jax.Array,
  length: int,
  *,
  top_k: int = 0,
  top_p: float = 1.0,
  temperature: float = 1.0,
  known: jax.Array | None = None,
) -> jax.Array:
  """[b, l] int32 tokens, each drawn given those before it.

  Args:
    keys: [b], one per row: a row depends on its key and its inputs alone.
    advance: the network; it is told the token before, `first` at number 0.
    state: of the network before it (a cache, say).
    first: [b] ints, the token before all.
    length: l.
    top_k: see `truncated`.
    top_p: see `truncated`.
    temperature: that logits are divided by, above 0.
    known: [b, l] tokens that are given, -1 where they are to be drawn.
  """
  if known is None:
    known = jnp.full((len(first), length), -1)

  def one(carry, x):
    before, state = carry
    i, given = x
    logits, state = advance(state, before, i)
    scaled = logits.astype(jnp.float32) / temperature
    step = jax.vmap(jax.random.fold_in, (0, None))(keys, i)
    drawn = categorical.draw_rows(
      step, truncated(scaled, top_k, top_p), precision="f32"
    )
    drawn = jnp.where(given < 0, drawn, given).astype(jnp.int32)
    return (drawn, state), drawn

  start = (first.astype(jnp.int32), state)
  numbered = (jnp.arange(length), known.T)
  _, drawn = jax.lax.scan(one, start, numbered)
  return drawn.T
