import jax
import numpy as np
import pytest

from jmim.masks import tokens as masking
from jmim.nn import dropout
from jmim.nn import sizes
from jmim.nn.decoders import cross

KEY = jax.random.key(0)
SIZE = sizes.Size(width=8, depth=2, heads=2)
NET = cross.CrossDecoder(size=SIZE, grid=(2, 3), out=5, hidden=12, rate=0.2)
SPLIT = masking.from_ids(np.array([[4, 0], [1, 5]]), 6)


@pytest.fixture(scope="module")
def inputs(normal):
  """Latents of the target (cls and two patches) and of the source."""
  return normal(2, 3, 10), normal(2, 7, 10, seed=1)


@pytest.fixture(scope="module")
def variables(fill, inputs):
  return fill(NET, *inputs, SPLIT)


def test_the_source_has_no_order(inputs, variables):
  """Its tokens in another order change nothing: no positions there."""
  latent, source = inputs
  run = jax.jit(lambda s: NET.apply(variables, latent, s, SPLIT))
  first = run(source)
  np.testing.assert_allclose(run(source[:, ::-1]), first, atol=1e-5)
  assert np.abs(run(0 * source) - first).max() > 1e-3


def test_visible_patches_may_come_in_any_order(inputs, variables):
  latent, source = inputs
  apply = jax.jit(NET.apply)
  first = apply(variables, latent, source, SPLIT)
  swapped = masking.from_ids(SPLIT.keep[:, ::-1], 6)
  second = apply(variables, latent[:, [0, 2, 1]], source, swapped)
  np.testing.assert_allclose(second, first, atol=1e-5)


def test_blocks_end_with_a_norm(fill, normal):
  """Post-norm: what comes out is LN1 of the last residual."""
  block = cross.PostNormBlock(heads=2, hidden=12)
  x = normal(2, 3, 8)
  variables = fill(block, x)
  plain = {"scale": np.ones(8), "bias": np.zeros(8)}
  params = {**variables["params"], "norm1": plain}
  y, _ = block.apply({"params": params}, x, memory=normal(2, 4, 8, seed=1))
  np.testing.assert_allclose(y.mean(-1), 0, atol=1e-5)
  np.testing.assert_allclose(y.var(-1), 1, atol=1e-4)


def test_without_keys_nothing_is_dropped(inputs, variables):
  keys = dropout.draw(KEY, 0.2, 2)["dropout"]
  dropped = NET.apply(variables, *inputs, SPLIT, keys)
  still = NET.apply(variables, *inputs, SPLIT)
  assert np.abs(dropped - still).max() > 1e-3
  np.testing.assert_array_equal(NET.apply(variables, *inputs, SPLIT), still)
