"""Keys by name: independent, repeatable, each taken once."""

import itertools

import jax
import numpy as np
import pytest

from jmim.core import randomness


def data(key):
  return tuple(np.asarray(jax.random.key_data(key)).tolist())


def test_a_key_is_a_function_of_the_root_and_the_name():
  root = jax.random.key(0)
  one, again = (randomness.Keys(root)("mask") for _ in range(2))
  assert data(one) == data(again)
  assert data(one) != data(randomness.Keys(root)("noise"))
  assert data(one) != data(randomness.Keys(jax.random.key(1))("mask"))


def test_the_order_of_asking_does_not_matter():
  names = ("mask", "noise", "time")
  found = []
  for order in itertools.permutations(names):
    keys = randomness.Keys(jax.random.key(2))
    found.append({name: data(keys(name)) for name in order})
  assert all(f == found[0] for f in found)


def test_a_name_is_taken_once():
  keys = randomness.Keys(jax.random.key(0))
  keys("mask")
  with pytest.raises(ValueError, match="'mask' is taken twice"):
    keys("mask")


def test_no_name_is_the_number_of_a_split():
  """What numbering by hand meets: fold_in(key, i) is split(key, n)[i]."""
  root = jax.random.key(0)
  numbered = {data(k) for k in jax.random.split(root, 64)}
  assert data(jax.random.fold_in(root, 1)) in numbered
  keys = randomness.Keys(root)
  names = ("mask", "noise", "posterior", "time", "drop", "flip", "crop")
  assert not numbered & {data(keys(name)) for name in names}


def test_several_draws_of_the_same_names():
  root = jax.random.key(0)
  keys = randomness.Keys(root)
  found = [data(keys.at(i)("noise")) for i in range(5)]
  assert len({*found, data(randomness.Keys(root)("noise"))}) == 6
  traced = jax.jit(lambda i: randomness.Keys(root).at(i)("noise"))(3)
  assert data(traced) == found[3]


def test_a_numbered_key_does_not_depend_on_the_others():
  key = jax.random.key(3)
  data = lambda keys: np.asarray(jax.random.key_data(keys))
  some = data(randomness.numbered(key, np.array([7, 2])))
  all_ = data(randomness.numbered(key, np.arange(9)))
  np.testing.assert_array_equal(some, all_[[7, 2]])
  assert len(np.unique(all_, axis=0)) == 9


def test_normal_rows_depend_on_their_number_and_the_draw():
  draws = [
    randomness.normals(jax.random.key(3), np.array(numbers), (4,))
    for numbers in ([7, 2], [2, 5, 7])
  ]
  some, more = (np.asarray(draw(1)) for draw in draws)
  np.testing.assert_array_equal(some, more[[2, 0]])
  again = np.asarray(draws[0](0))
  assert len(np.unique([*some.ravel(), *again.ravel()])) == 16
