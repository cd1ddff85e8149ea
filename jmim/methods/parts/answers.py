"""How far answers to a query are from the truth, told this or that.

    right      the whole context
    pairs_K    its last K pairs
    wrong      pairs of another task, made of the same pictures
    copy       the query, in place of an answer

Each is a mean squared error [b] over a target, in the units of the input.
"""

from collections.abc import Callable
from collections.abc import Mapping

import jax
import jax.numpy as jnp

Array = jax.Array


def exchanged(other: Array, context: Array) -> Array:
  """The pairs of one context [b, n, ...] with the query of another."""
  return jnp.concatenate([other[:, :-1], context[:, -1:]], axis=1)


def errors(
  answer: Callable[[Array], Array],
  decode: Callable[[Array], Array],
  told: Mapping[str, Array],
  target: Array,
) -> dict[str, Array]:
  """The errors above, "copy" and those of every context.

  Args:
    answer: a context -> frames [b, f, H, W, C].
    decode: what is diffused -> frames.
    told: name -> context [b, n, h, w, c], all with the same query.
    target: [b, f, h, w, c] of the query.
  """
  truth = decode(target)
  error = lambda made: ((made - truth) ** 2).mean(tuple(range(1, truth.ndim)))
  query = next(iter(told.values()))[:, -1:]
  found = {"copy": error(decode(query))}
  return found | {
    name: error(answer(context)) for name, context in told.items()
  }


def of_new(found: Mapping[str, Array], label: Array) -> dict[str, Array]:
  """new, new_copy [b]: right and copy where the label is 1, elsewhere 0.

  Both have the same zeros: the ratio of their means is that of the errors of
  the examples with this label.
  """
  on = label.astype(jnp.float32)
  return {"new": found["right"] * on, "new_copy": found["copy"] * on}
