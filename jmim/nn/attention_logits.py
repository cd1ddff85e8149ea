"""Logits of attention, their log-sum-exp, and heads that share keys."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

# [b, h, t, s] float32 logits, bias and mask included -> changed ones.
Edit = Callable[[jax.Array], jax.Array]


def shared(heads: int, *arrays: jax.Array) -> tuple[jax.Array, ...]:
  """Keys or values of fewer heads, for each head of the queries.

  Head j of g serves the queries' heads j n .. j n + n - 1, n = heads / g
  (Ainslie et al. 2023).

  Args:
    heads: of the queries.
    *arrays: [b, g, s, d].

  Returns:
    each as [b, heads, s, d].

  Raises:
    ValueError: where g does not divide the heads.
  """
  groups = {a.shape[1] for a in arrays}
  if bad := [g for g in groups if heads % g]:
    raise ValueError(
      f"{heads} heads of queries do not divide by {bad[0]} of keys"
    )
  return tuple(
    a if a.shape[1] == heads else jnp.repeat(a, heads // a.shape[1], axis=1)
    for a in arrays
  )


def prefix(lengths: jax.Array, size: int) -> jax.Array:
  """[b, size] bool mask of keys: the first `lengths` [b] may be seen."""
  return jnp.arange(size) < lengths[:, None]


def logits(
  q: jax.Array,
  k: jax.Array,
  bias: jax.Array | None = None,
  mask: jax.Array | None = None,
  edit: Edit | None = None,
) -> jax.Array:
  """edit(q k^T / sqrt(d) + bias), [b, h, t, s] float32.

  Args:
    q: [b, h, t, d].
    k: [b, g, s, d], see `shared`.
    bias: broadcasts to [b, h, t, s].
    mask: [b, s] bool, True = the key may be seen; others: the least float.
    edit: changes the logits last; None: nothing does.
  """
  (k,) = shared(q.shape[1], k)
  # (q / sqrt(d)) k^T, not (q k^T) / sqrt(d): [t, d] instead of [t, s] numbers,
  # which halves the time of the backward pass on CPU where heads are small.
  q = q * q.shape[-1] ** -0.5
  found = jnp.einsum(
    "bhtd,bhsd->bhts", q, k, preferred_element_type=jnp.float32
  )
  if bias is not None:
    found = found + bias
  if mask is not None:
    # Not -inf: of a query that sees no key the softmax would be NaN.
    floor = jnp.finfo(jnp.float32).min
    found = jnp.where(mask[:, None, None, :], found, floor)
  return found if edit is None else edit(found)


def log_sum_exp(
  q: jax.Array,
  k: jax.Array,
  bias: jax.Array | None = None,
  mask: jax.Array | None = None,
  edit: Edit | None = None,
) -> jax.Array:
  """log of the sum over keys of exp of `logits`: [b, h, t] float32.

  exp(logits - it) are the probabilities; of a query that sees no key it is
  the least float.
  """
  found = logits(q, k, bias=bias, mask=mask, edit=edit)
  return jax.nn.logsumexp(found, axis=-1)
