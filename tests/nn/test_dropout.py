import jax
import jax.numpy as jnp
import numpy as np

from jmim.nn import dropout

KEY = jax.random.key(0)


def test_dropout_is_a_function_of_the_example():
  """Not of what else is in the batch, and its mean is what went in."""
  x = jnp.ones((4, 50, 64))
  keys = dropout.draw(KEY, 0.25, 4)["dropout"]
  whole = dropout.dropout(x, keys, 0.25, 3)
  np.testing.assert_array_equal(
    dropout.dropout(x[2:], keys[2:], 0.25, 3), whole[2:]
  )
  assert set(np.unique(whole)) == {0.0, np.float32(1 / 0.75)}
  assert abs(whole.mean() - 1) < 0.02
  assert (dropout.dropout(x, keys, 0.25, 4) != whole).any()
  assert dropout.draw(KEY, 0.0, 4) == {}


def test_layers_drop_at_different_places(normal):
  """The number of the layer is part of the site: equal layers differ."""
  x, keys = normal(2, 3, 8), dropout.draw(KEY, 0.5, 2)["dropout"]
  first, second = (dropout.dropout(x, keys, 0.5, 8 * i) for i in range(2))
  assert ((first == 0) != (second == 0)).any()
