import jax
import jax.numpy as jnp
import numpy as np

from jmim.nn import sizes
from jmim.nn.nets import region_tokens
from jmim.nn.nets import vit

RNG = np.random.default_rng(0)
DIMS = sizes.Dims(variant="S/4", width=8, depth=1, heads=2)
NET = region_tokens.RegionTokens(
  encoder=vit.build(DIMS, 16, cls=False), count=3, depth=2, heads=2
)
X = jnp.asarray(RNG.normal(size=(2, 16, 16, 3)), jnp.float32)
SHAPES = jax.eval_shape(NET.init, jax.random.key(0), X)["params"]
P = jax.tree.map(
  lambda s: jnp.asarray(0.4 * RNG.normal(size=s.shape), jnp.float32), SHAPES
)


def test_maps_sum_to_1_over_places_or_over_queries():
  seen = NET.seen(P, X)
  assert seen.places.shape == seen.shares.shape == (2, 3, 16)
  np.testing.assert_allclose(seen.places.sum(-1), 1.0, atol=1e-5)
  np.testing.assert_allclose(seen.shares.sum(1), 1.0, atol=1e-5)
  assert np.ptp(seen.places) > 1e-3
  np.testing.assert_array_equal(seen.tokens, NET.apply({"params": P}, X))


def test_both_maps_are_of_the_same_logits():
  """Of one head: places / shares differ by what only their sums depend on."""
  one = NET.clone(heads=1)
  seen = one.seen(P, X)
  ratio = np.log(seen.places) - np.log(seen.shares)
  # log places = z - a_k, log shares = z - b_p: their difference has rank 2.
  inner = ratio - ratio.mean(1, keepdims=True) - ratio.mean(2, keepdims=True)
  np.testing.assert_allclose(
    inner + ratio.mean((1, 2), keepdims=True), 0, atol=1e-4
  )


def test_queries_that_change_places_change_tokens_and_maps():
  turned = P | {"queries": P["queries"][:, ::-1]}
  a, b = NET.seen(P, X), NET.seen(turned, X)
  for x, y in zip(a, b, strict=True):
    np.testing.assert_allclose(x, y[:, ::-1], rtol=1e-4, atol=1e-5)
