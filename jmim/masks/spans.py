"""Texts with gaps, and texts in two parts: who reads what, and who says it.

    gaps   inputs   a b <0> e f <1> end        random spans, a sentinel for each
           targets  <0> c d <1> g end          (Raffel et al. 2020, T5)
    parts  inputs   a b c end                  up to a place
           targets  d e f g end                from there on (prefix LM)

Lengths differ from text to text and shapes do not: what is left out moves the
rest together, and padding fills up. Letters: b batch, l places of a text.
"""

import dataclasses
from typing import Any
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np


@dataclasses.dataclass(frozen=True, kw_only=True)
class Special:
  """Tokens that are no words.

  Attributes:
    pad: fills up.
    end: after a text.
    sentinel: of the first gap; of the next the token before it, and so on.
  """

  pad: int
  end: int
  sentinel: int = 0


class Task(NamedTuple):
  """What is read and what is said, both [b, l + 1] int32.

  Attributes:
    inputs: tokens, an end, padding.
    targets: tokens, an end, padding.
    read: [b, l + 1] bool, False at padding of the inputs.
    said: [b, l + 1] bool, False at padding of the targets.
  """

  inputs: jax.Array
  targets: jax.Array
  read: jax.Array
  said: jax.Array


def present(tokens: jax.Array, special: Special) -> jax.Array:
  """[b, l] bool: places before the first end or padding."""
  ends = (tokens == special.pad) | (tokens == special.end)
  return jnp.cumsum(ends, axis=1) == 0


def packed(
  tokens: jax.Array, keep: jax.Array, length: int, special: Special
) -> tuple[jax.Array, jax.Array]:
  """What is kept, side by side from the left, then an end.

  Args:
    tokens: [b, l] ints.
    keep: [b, l] bool.
    length: of the result. What is too long is cut off before the end.
    special: with its end and padding.

  Returns:
    [b, length] int32, and where something is [b, length] bool.
  """
  place = jnp.where(keep, jnp.cumsum(keep, axis=1) - 1, length)
  place = jnp.where(place < length - 1, place, length)
  rows = jnp.arange(len(tokens))[:, None]
  empty = jnp.full((len(tokens), length), special.pad, jnp.int32)
  made = empty.at[rows, place].set(tokens.astype(jnp.int32), mode="drop")
  count = jnp.minimum(keep.sum(1), length - 1)[:, None]
  places = jnp.arange(length)
  made = jnp.where(places == count, special.end, made)
  return made, places <= count


def closed(
  tokens: jax.Array, length: int, special: Special
) -> tuple[jax.Array, jax.Array]:
  """Whole texts [b, l] with an end, as `packed`."""
  return packed(tokens, present(tokens, special), length, special)


def parted(
  tokens: jax.Array,
  upto: jax.Array,
  start: jax.Array,
  *,
  length: int,
  special: Special,
) -> Task:
  """Read tokens 0 .. upto - 1, say those from `start` on.

  Args:
    tokens: [b, l] ints, ended by an end or by padding.
    upto: [b] ints.
    start: [b] ints.
    length: of inputs and targets; what is too long is cut off.
    special: end and padding.
  """
  there, place = present(tokens, special), jnp.arange(tokens.shape[1])
  first = there & (place < upto[:, None])
  rest = there & (place >= start[:, None])
  inputs, read = packed(tokens, first, length, special)
  targets, said = packed(tokens, rest, length, special)
  return Task(inputs, targets, read=read, said=said)


def place(u: jax.Array, count: jax.Array, most: int = 0) -> jax.Array:
  """[b] int32: uniform on 1 .. count - 1, and on no more than `most`.

  Args:
    u: [b] ~ U[0, 1).
    count: [b] ints.
    most: largest place; 0: any.

  Returns:
    0 where count is 0 or 1: there is nothing between.
  """
  last = jnp.maximum(count - 1, 0)
  last = jnp.minimum(last, most) if most else last
  found = 1 + jnp.floor(u * last).astype(jnp.int32)
  return jnp.minimum(found, last)


def segments(
  scores: jax.Array, items: jax.Array, parts: jax.Array
) -> jax.Array:
  """[b, l] sizes of the parts that a row of items is cut into at random.

  Every part has an item, and all ways of cutting are alike.

  Args:
    scores: [b, l] without order: cuts are where they are least.
    items: [b] ints, at most l.
    parts: [b] ints, at most `items`; 0: none.
  """
  number = jnp.arange(scores.shape[1])
  inner = (number > 0) & (number < items[:, None])
  order = jnp.argsort(jnp.where(inner, scores, jnp.inf), axis=1)
  rank = jnp.argsort(order, axis=1)
  cut = inner & (rank < parts[:, None] - 1)
  own = jnp.cumsum(cut, axis=1)
  there = (number < items[:, None])[..., None]
  return ((own[..., None] == number) & there).sum(1)


def _counts(n: Any, share: float, mean: float, xp: Any) -> tuple[Any, Any]:
  """(hidden tokens, spans) of n >= 2 tokens, int32; see `gaps`."""
  hidden = xp.clip(xp.round(n * share), 1, n - 1).astype(xp.int32)
  spans = xp.maximum(xp.round(hidden / mean), 1).astype(xp.int32)
  return hidden, xp.minimum(spans, n - hidden)


def most_gaps(length: int, share: float, mean: float) -> int:
  """Gaps of a text of up to `length` tokens, at most; see `gaps`."""
  n = np.arange(2, max(length, 2) + 1)
  return int(_counts(n, share, mean, np)[1].max())


def gaps(
  scores: jax.Array, count: jax.Array, *, share: float, mean: float
) -> jax.Array:
  """[b, l] bool: random spans, T5's `random_spans_noise_mask`.

  Of n tokens round(share n) are hidden, at least one and not all, in
  round(hidden / mean) spans of random lengths, at least one; what is between
  them has random lengths too. A text begins with a token that is not hidden.

  Args:
    scores: [b, 2, l] without order, of what stays and what is hidden.
    count: [b] ints, n; of fewer than two tokens none is hidden.
    share: of the tokens that is hidden.
    mean: length of a span.
  """
  n = jnp.maximum(count, 2)
  hidden, spans = _counts(n, share, mean, jnp)
  stays = segments(scores[:, 0], n - hidden, spans)
  inside = segments(scores[:, 1], hidden, spans)
  ends = jnp.cumsum(stays + inside, axis=1)
  number = jnp.arange(scores.shape[-1])
  begun = number[:, None] >= (ends - inside)[:, None]
  found = begun & (number[:, None] < ends[:, None])
  return found.any(-1) & (number < count[:, None])


def gapped(tokens: jax.Array, hidden: jax.Array, special: Special) -> Task:
  """Read a sentinel in place of each gap; say each and what was there.

  Args:
    tokens: [b, l] ints, ended by an end or by padding.
    hidden: [b, l] bool, of `gaps`.
    special: end, padding and sentinels.
  """
  there, length = present(tokens, special), tokens.shape[1] + 1
  hidden = hidden & there
  before = jnp.pad(hidden[:, :-1], ((0, 0), (1, 0)))
  first = hidden & ~before
  sentinel = special.sentinel + 1 - jnp.cumsum(first, axis=1)
  shown = jnp.where(first, sentinel, tokens)
  inputs, read = packed(shown, there & (first | ~hidden), length, special)
  # Before each token there is room for a sentinel.
  pair = lambda a, b: jnp.stack([a, b], axis=-1).reshape(len(tokens), -1)
  both, keep = pair(sentinel, tokens), pair(first, hidden)
  targets, said = packed(both, keep, length, special)
  return Task(inputs, targets, read=read, said=said)
