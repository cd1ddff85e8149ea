"""Randomness by name: the keys of a step are asked for by what they are for.

    keys = Keys(key)
    keys("mask")        a key that no other name has

Numbering keys by hand (`fold_in(key, 1)` in one file, `split(key, 3)` in
another) gives two arrays the same numbers without a word: in JAX's threefry
`fold_in(key, i)` is `split(key, n)[i]`. A name can be taken once.
"""

import zlib
from collections.abc import Callable

import jax


class Keys:
  """Keys by name, each a function of one key and the name."""

  def __init__(self, key: jax.Array):
    """All of its keys come from `key`, which has no other use."""
    self._key = key
    self._taken: set[str] = set()

  def __call__(self, name: str) -> jax.Array:
    """The key of a name.

    Raises:
      ValueError: it was taken before; two arrays would share their numbers.
    """
    if name in self._taken:
      raise ValueError(
        f"the key {name!r} is taken twice: name each array that is drawn"
      )
    self._taken.add(name)
    return self._fold(name)

  def at(self, number: int | jax.Array) -> "Keys":
    """Keys of one of several draws of the same names.

    Args:
      number: of the draw, which may be traced.
    """
    return Keys(jax.random.fold_in(self._fold("number of a draw"), number))

  def _fold(self, name: str) -> jax.Array:
    return jax.random.fold_in(self._key, zlib.crc32(name.encode()))


def numbered(key: jax.Array, numbers: jax.Array) -> jax.Array:
  """[n] keys: what is drawn with one depends on the key and its number alone.

  Args:
    key: of all, which has no other use.
    numbers: [n] ints.
  """
  return jax.vmap(jax.random.fold_in, (None, 0))(key, numbers)


def normals(
  key: jax.Array, numbers: jax.Array, shape: tuple[int, ...]
) -> Callable[[int | jax.Array], jax.Array]:
  """Number of a draw -> standard normal [n, *shape], a row for each of many.

  Args:
    key: of all draws, which has no other use.
    numbers: [n] ints; a row depends on its number, not on its place.
    shape: of a row.
  """
  keys = numbered(key, numbers)

  def draw(call):
    at = jax.vmap(jax.random.fold_in, (0, None))(keys, call)
    return jax.vmap(lambda k: jax.random.normal(k, shape))(at)

  return draw
