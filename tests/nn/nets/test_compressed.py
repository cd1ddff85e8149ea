import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import runtime
from jmim.methods.parts import token_counts
from jmim.nn import sizes
from jmim.nn.nets import compressed
from jmim.nn.nets import vit

NET = vit.ViT(
  size=sizes.Size(width=16, depth=3, heads=2, mlp_ratio=2.0),
  patch=4,
  grid=(3, 3),
  positions="learned",
  final_norm=False,
)
WAYS = compressed.Compressed(net=NET)
KEPT = ((9, 8, 5), (10, 6, 7))


@pytest.fixture(scope="module")
def case():
  """Parameters and images."""
  images = jax.random.normal(jax.random.key(0), (2, 12, 12, 3))
  params = jax.jit(NET.init)(jax.random.key(1), images)["params"]
  noise = lambda x: x + 0.1 * jax.random.normal(jax.random.key(2), x.shape)
  return jax.tree.map(noise, params), images


def counts(kept, survival=0.5):
  """As if they were learned."""
  p = jnp.full((3, 10), survival)
  prune, merge = (jnp.float32(k) for k in kept)
  return token_counts.Counts(prune, merge, prune_survival=p, merge_survival=p)


def test_lists_that_keep_all_are_the_untouched_network_bit_for_bit(case):
  params, images = case
  want = jax.jit(NET.apply)({"params": params}, images)["latent"]
  out = jax.jit(lambda p: WAYS.removed(p, images, ((10,) * 3,) * 2))(params)
  np.testing.assert_array_equal(out["x"], want)
  np.testing.assert_array_equal(out["size"], np.ones((2, 10)))


def test_counts_are_those_of_the_lists_after_each_block(case):
  params, images = case
  out = jax.jit(lambda p: WAYS.removed(p, images, KEPT, taps=True))(params)
  assert [s["x"].shape[1] for s in out["block"]] == [9, 6, 5]
  assert [s["importance"].shape[1] for s in out["block"]] == [9, 8, 5]
  assert "block" not in WAYS.removed(params, images, KEPT)


@pytest.mark.parametrize("random", [False, True])
def test_masking_is_removing_where_sizes_are_not_clamped(case, random):
  """Also in a random order; nothing that is gone comes back."""
  params, images = case
  noise = jax.random.uniform(jax.random.key(3), (2, 3, 9)) if random else None
  cut, masked = jax.jit(
    lambda p: (
      WAYS.removed(p, images, KEPT, noise=noise),
      WAYS.masked(p, images, counts(KEPT), noise=noise, clamp=False),
    )
  )(params)
  np.testing.assert_array_equal(masked["mask"].sum(1), 5)
  np.testing.assert_allclose(masked["x"][:, :5], cut["x"], atol=2e-4)
  np.testing.assert_allclose(masked["size"][:, :5], cut["size"], atol=1e-4)


def test_the_mask_has_as_many_tokens_as_are_alive_after_each_block(case):
  params, images = case
  out = jax.jit(lambda p: WAYS.masked(p, images, counts(KEPT), taps=True))(
    params
  )
  for state, alive in zip(out["block"], (9, 6, 5), strict=True):
    np.testing.assert_array_equal(state["mask"].sum(1), alive)
    assert int(state["alive"]) == alive
    # Sizes of training are at least 1.
    assert (state["size"] >= 1).all()


def test_scanned_and_recomputed_is_the_same_with_gradients(case):
  params, images = case
  drop = jnp.ones((3, 2, 2)).at[1, 0, 0].set(0.0)

  def gradient(ways):
    def loss(survival):
      c = counts(KEPT, survival)
      out = ways.masked(params, images, c, drop=drop)
      return (out["x"] * out["mask"][..., None]).sum() ** 2

    return jax.jit(jax.value_and_grad(loss))(0.5)

  rt = runtime.Runtime(scan=True, remat="full")
  other = compressed.Compressed(net=dataclasses.replace(NET, rt=rt))
  want, found = gradient(WAYS), gradient(other)
  assert np.abs(want[1]) > 0
  np.testing.assert_allclose(found, want, rtol=1e-3)
