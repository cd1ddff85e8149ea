import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import tree as trees
from jmim.methods.parts import scales
from jmim.nn import context_block

KERNELS = {
  "blocks/layers/attn/qkv": (5, 8, 24),
  "blocks/layers/attn/proj": (5, 8, 8),
  "blocks/layers/mlp/fc2": (5, 32, 8),
  "patch_embed": (12, 8),
  "time_embed/fc2": (8, 8),
  "pred": (8, 24),
}
HOST = trees.nested({f"{n}/kernel": jnp.zeros(s) for n, s in KERNELS.items()})
EVERYWHERE = scales.Scales(**dict.fromkeys(scales.MAPS, True), first=1, stop=4)


def numbers(tree):
  return sum(x.size for x in jax.tree.leaves(tree))


def test_by_default_two_vectors_a_block():
  found = scales.Scales().init(HOST)
  assert {n: x.shape for n, x in found.items()} == {
    "attention": (5, 8),
    "mlp": (5, 8),
  }
  assert all((x == 1).all() for x in found.values())


def test_places_and_blocks_are_chosen():
  assert numbers(EVERYWHERE.init(HOST)) == 3 * (8 + 8 + 24 + 8) + 8 + 8 + 24
  one = scales.Scales(**dict.fromkeys(scales.MAPS, True), scalar=True)
  assert numbers(one.init(HOST)) == 5 * 4 + 3
  none = scales.Scales(attention=False, mlp=False)
  assert none.places == () and none.init(HOST) == {}


def test_blocks_outside_have_ones_and_scales_of_one_map_multiply():
  made = EVERYWHERE.init(HOST)
  made["attention"] = made["attention"] * 2
  made["out"] = made["out"] * jnp.array([[3.0], [5.0], [7.0]])
  tree = trees.named(EVERYWHERE.tree(made, HOST))
  assert set(tree) == {f"{n}/gamma" for n in KERNELS}
  gamma = tree["blocks/layers/attn/proj/gamma"]
  np.testing.assert_array_equal(gamma[:, 0], [1, 6, 10, 14, 1])
  assert (gamma == gamma[:, :1]).all() and gamma.shape == (5, 8)
  assert tree["pred/gamma"].shape == (24,)
  assert tree["blocks/layers/attn/qkv/gamma"].shape == (5, 24)


def test_a_single_number_is_that_of_every_channel():
  part = scales.Scales(patch=True, scalar=True, stop=2)
  made = jax.tree.map(lambda x: 2 * x, part.init(HOST))
  tree = trees.named(part.tree(made, HOST))
  np.testing.assert_array_equal(tree["patch_embed/gamma"], np.full(8, 2.0))
  gamma = tree["blocks/layers/mlp/fc2/gamma"]
  np.testing.assert_array_equal(
    gamma, np.repeat([2, 2, 1, 1, 1], 8).reshape(5, 8)
  )


@pytest.mark.parametrize("first, stop", [(0, 6), (3, 3), (5, 0)])
def test_blocks_that_are_none_are_refused(first, stop):
  with pytest.raises(ValueError, match=r"scales\.first"):
    scales.Scales(first=first, stop=stop).check(5)
  scales.Scales(first=4).check(5)


@pytest.mark.parametrize("scaled", [("block",), ("attention",), None])
def test_a_folded_block_with_a_context_is_one_without_scales(scaled):
  net = context_block.Block(
    heads=2, attention_bias=True, scales=scaled or context_block.SCALES
  )
  x = jax.random.normal(jax.random.key(0), (2, 3, 8))
  context = jax.random.normal(jax.random.key(1), (2, 4, 5))
  start = jax.jit(net.init)(jax.random.key(2), x, context)["params"]
  rng = np.random.default_rng(0)
  noise = lambda w: w + 0.3 * rng.normal(size=w.shape).astype(np.float32)
  params = jax.tree.map(noise, start)
  want, _ = net.apply({"params": params}, x, context)
  folded = scales.fold_block(params)
  got, _ = net.clone(scales=()).apply({"params": folded}, x, context)
  np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-5)
