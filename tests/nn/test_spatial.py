import flax.linen as nn
import jax
import numpy as np
import pytest

from jmim.nn import spatial

RNG = np.random.default_rng(0)
X = RNG.normal(size=(2, 4, 3, 8)).astype(np.float32)
CONTEXT = RNG.normal(size=(2, 5, 6)).astype(np.float32)


def test_both_start_as_the_identity():
  attention = spatial.SpatialAttention(heads=2, groups=4)
  (found, _), _ = jax.jit(attention.init_with_output)(jax.random.key(0), X)
  np.testing.assert_array_equal(found, X)
  net = spatial.SpatialTransformer(heads=2, groups=4)
  start = jax.jit(net.init_with_output)
  (found, _), _ = start(jax.random.key(0), X, CONTEXT)
  np.testing.assert_array_equal(found, X)


def test_attention_does_not_know_places(fill):
  net = spatial.SpatialAttention(heads=2, groups=4)
  variables = fill(net, X)
  found, taps = net.apply(variables, X)
  turned, _ = net.apply(variables, X[:, ::-1, ::-1])
  np.testing.assert_allclose(turned[:, ::-1, ::-1], found, atol=1e-5)
  assert np.abs(found - X).max() > 0.01
  np.testing.assert_allclose(
    X.reshape(2, 12, 8) + taps["attn"], found.reshape(2, 12, 8), atol=1e-6
  )


def test_a_context_is_a_set_that_reaches_every_place(fill):
  net = spatial.SpatialTransformer(heads=2, groups=4)
  variables = fill(net, X, CONTEXT)
  see = lambda context: net.apply(variables, X, context)[0]
  found = see(CONTEXT)
  same = see(CONTEXT[:, ::-1])
  np.testing.assert_allclose(same, found, atol=1e-5)
  other = CONTEXT.copy()
  other[:, 0] += 3.0
  moved = np.abs(see(other) - found).max(-1)
  assert moved.min() > 1e-5
  # An example sees its own context alone.
  half = see(np.stack([CONTEXT[0], other[1]]))
  np.testing.assert_allclose(half[0], found[0], atol=1e-6)


class Mean(nn.Module):
  """Stands where self-attention does: the mean over all keys."""

  heads: int
  rt: object

  def __call__(self, x, keys):
    return x * 0 + keys.mean(1, keepdims=True)


@pytest.mark.parametrize("depth", [0, 2])
def test_another_module_may_stand_where_self_attention_does(fill, depth):
  """Its tap is what it gave: the same at all places."""
  if depth:
    net = spatial.SpatialTransformer(
      heads=2, depth=depth, groups=4, self_attention=Mean
    )
  else:
    net = spatial.SpatialAttention(heads=2, groups=4, self_attention=Mean)
  variables = fill(net, X, CONTEXT)
  _, taps = net.apply(variables, X, CONTEXT)
  assert list(taps) == (["self_0", "self_1"] if depth else ["attn"])
  for tokens in taps.values():
    np.testing.assert_allclose(tokens, tokens[:, :1] + 0 * tokens, atol=1e-6)
  names = variables["params"]
  assert not {"attn", "self_0"} & set(names)  # this one has no parameters
  assert not depth or {"cross_0", "cross_1"} <= set(names)
