import jax
import numpy as np

from jmim.nn import spatial

RNG = np.random.default_rng(0)
X = RNG.normal(size=(2, 4, 3, 8)).astype(np.float32)
CONTEXT = RNG.normal(size=(2, 5, 6)).astype(np.float32)


def test_both_start_as_the_identity():
  attention = spatial.SpatialAttention(2, 4)
  found, _ = jax.jit(attention.init_with_output)(jax.random.key(0), X)
  np.testing.assert_array_equal(found, X)
  net = spatial.SpatialTransformer(heads=2, groups=4)
  found, _ = jax.jit(net.init_with_output)(jax.random.key(0), X, CONTEXT)
  np.testing.assert_array_equal(found, X)


def test_attention_does_not_know_places(fill):
  net = spatial.SpatialAttention(2, 4)
  variables = fill(net, X)
  found = net.apply(variables, X)
  turned = net.apply(variables, X[:, ::-1, ::-1])
  np.testing.assert_allclose(turned[:, ::-1, ::-1], found, atol=1e-5)
  assert np.abs(found - X).max() > 0.01


def test_a_context_is_a_set_that_reaches_every_place(fill):
  net = spatial.SpatialTransformer(heads=2, groups=4)
  variables = fill(net, X, CONTEXT)
  found = net.apply(variables, X, CONTEXT)
  same = net.apply(variables, X, CONTEXT[:, ::-1])
  np.testing.assert_allclose(same, found, atol=1e-5)
  other = CONTEXT.copy()
  other[:, 0] += 3.0
  moved = np.abs(net.apply(variables, X, other) - found).max(-1)
  assert moved.min() > 1e-5
  # An example sees its own context alone.
  half = net.apply(variables, X, np.stack([CONTEXT[0], other[1]]))
  np.testing.assert_allclose(half[0], found[0], atol=1e-6)
