import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.nn import attention
from jmim.nn import norm
from jmim.nn import told_block

X, C = jax.random.normal(jax.random.key(0), (2, 2, 5, 8))
NET = told_block.Told(heads=2)
FRESH = NET.init(jax.random.key(1), X, None)


def test_it_begins_by_adding_nothing():
  np.testing.assert_array_equal(NET.apply(FRESH, X, C), X)


def test_parameters_are_the_same_with_and_without_a_context():
  given = NET.init(jax.random.key(1), X, C[:, :3])
  jax.tree.map(np.testing.assert_array_equal, given, FRESH)


def test_it_is_attention_of_normed_tokens_to_all_of_the_context(fill):
  variables = fill(NET, X, C)
  own = variables["params"]
  y = norm.LayerNorm().apply({"params": own["norm"]}, X)
  cross = attention.CrossAttention(heads=2)
  wanted = X + cross.apply({"params": own["attn"]}, y, C)
  found = NET.apply(variables, X, C)
  np.testing.assert_allclose(found, wanted, atol=1e-5)
  order = jnp.array([3, 0, 4, 1, 2])
  turned = NET.apply(variables, X, C[:, order])
  np.testing.assert_allclose(turned, found, atol=1e-5)
  for place in range(5):
    other = NET.apply(variables, X, C.at[:, place].add(1.0))
    assert float(jnp.abs(other - found).max()) > 1e-4


def test_a_context_that_is_missing_is_named():
  with pytest.raises(ValueError, match="none is given"):
    NET.apply(FRESH, X, None)
