import jax
import jax.numpy as jnp
import numpy as np

from jmim.methods.parts import characters

PART = characters.Characters(symbols=9, length=4, width=3)
IDS = jnp.array([[3, 0, 3], [8, 1, 0]])


def params():
  return PART.init(jax.random.key(0))


def test_a_vector_is_that_of_the_symbol_and_of_the_place():
  p = params()
  found = PART.encode(p, IDS)
  for b in range(2):
    for i in range(3):
      want = p["symbols"][IDS[b, i]] + p["places"][i]
      np.testing.assert_array_equal(found[b, i], want)
  np.testing.assert_array_equal(PART.none(IDS), 0 * IDS)
  np.testing.assert_array_equal(p["symbols"][0], 0)
  assert np.abs(p["symbols"][1:]).min() > 0


def test_the_space_learns_nothing_and_the_others_do():
  loss = lambda p: (PART.encode(p, IDS) ** 2).sum()
  grads = jax.grad(loss)(params())
  used = [bool(np.abs(row).max()) for row in grads["symbols"]]
  assert used == [i in (1, 3, 8) for i in range(9)]
  assert np.abs(grads["places"][:3]).min() > 0  # the fourth is never read
  assert not np.asarray(grads["places"][3]).any()
