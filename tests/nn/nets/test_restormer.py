import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import runtime
from jmim.core import tree as trees
from jmim.nn.nets import restormer

RT = runtime.Runtime()
DIMS = restormer.Dims(
  width=4, blocks=(2, 1, 1, 1), heads=(1, 2, 2, 4), refinement=1
)
Z = 6


def block(**options):
  return restormer.Block(heads=2, ratio=2.0, **options)


@pytest.mark.parametrize("norm", restormer.NORMS)
def test_told_one_and_zero_a_block_is_a_plain_restormers(norm, normal, fill):
  """a multiplies by itself: 1 leaves things as they are, 0 does not."""
  x, z = normal(2, 4, 6, 4), np.ones((2, 1), np.float32)
  plain = fill(block(norm=norm), x)["params"]
  maps = np.concatenate([np.ones((1, 4)), np.zeros((1, 4))], 1, dtype="f4")
  told = {f"told{i}": {"kernel": maps} for i in (1, 2)}
  run = jax.jit(
    lambda p, z: block(norm=norm).apply({"params": p}, x, cond=z)[0]
  )
  expected, found = run(plain, None), run(plain | told, z)
  np.testing.assert_array_equal(found, expected)
  moved = run(plain | told, 2 * z)
  assert np.abs(moved - expected).max() > 1e-3


def test_an_attention_does_not_see_how_long_its_channels_are(normal, fill):
  """Cosines over places: factors of q and k leave; a channel of 0 is 0."""
  module, x = restormer.Attention(heads=2), normal(2, 4, 6, 4)
  params = fill(module, x)["params"]
  kernel = params["qkv_depthwise"]["kernel"]
  apply = jax.jit(lambda k: module.apply({"params": params | k}, x))
  scaled = lambda *by: {
    "qkv_depthwise": {"kernel": kernel * np.repeat(by, 4).astype("f4")}
  }
  expected = apply(scaled(1, 1, 1))
  np.testing.assert_allclose(apply(scaled(5, 0.1, 1)), expected, atol=1e-5)
  doubled = apply(scaled(1, 1, 2))
  np.testing.assert_allclose(doubled, 2 * expected, rtol=1e-4, atol=1e-5)
  blind = jax.jit(jax.grad(lambda k: apply(scaled(0, 1, 1) | k).sum()))
  grads = blind({"temperature": params["temperature"]})
  np.testing.assert_array_equal(grads["temperature"], 0)


def shapes(dims, scale, d=256):
  net = dims.net(scale=scale, out=3, rt=RT)
  side = dims.multiple
  x, z = jnp.zeros((1, side, side, 3)), jnp.zeros((1, d))
  made = jax.eval_shape(net.init, jax.random.key(0), x, z)["params"]
  return {n: x.shape for n, x in trees.named(made).items()}


def count(shapes):
  return sum(int(np.prod(s)) for s in shapes.values())


def blocks(c, hidden, heads, norms, d):
  """Parameters of one block: by hand, of the paper's layers."""
  attention = 3 * c * c + 27 * c + c * c + heads
  forward = 2 * c * hidden + 18 * hidden + hidden * c
  return attention + forward + 2 * norms * c + 2 * 2 * c * d


def test_parameters_of_the_published_deblurring_network():
  dims, c, d = restormer.Dims(), 48, 256
  levels = [(c, 3 + 0), (2 * c, 5 + 5), (4 * c, 6 + 6), (8 * c, 6)]
  heads = {c: 1, 2 * c: 2, 4 * c: 4, 8 * c: 8}
  one = lambda c, heads: blocks(c, 2 * c, heads, norms=2, d=d)
  total = sum(n * one(c, heads[c]) for c, n in levels)
  total += (3 + 4) * one(2 * c, 1)  # the finest going up, and refinement
  down = sum(9 * w * w // 2 for w in (c, 2 * c, 4 * c))
  up = sum(9 * w * 2 * w for w in (2 * c, 4 * c, 8 * c))
  reduced = sum(2 * w * w for w in (2 * c, 4 * c))
  ends = 27 * c + 27 * 2 * c
  assert count(shapes(dims, 1)) == total + down + up + reduced + ends


def test_only_a_tail_that_enlarges_has_biases():
  one = dict(width=4, blocks=(1,) * 4, heads=(1,) * 4, norm="bias_free")
  for scale, fold, grows in ((1, 1, 0), (2, 2, 2)):
    found = shapes(restormer.Dims(**one, unshuffle=fold), scale, Z)
    biases = sorted(n for n in found if n.endswith("bias"))
    expected = [f"grow{i}/bias" for i in range(grows)] + ["out/bias"] * (
      grows > 0
    )
    assert biases == expected
    assert found["embed/kernel"] == (3, 3, 3 * fold**2, 4)
  assert not [n for n in shapes(DIMS, 1, Z) if "reduce0" in n]


def test_nothing_made_leaves_the_input_of_its_first_channels(normal, fill):
  """The tail alone adds to it, each pixel repeated."""
  dims = dataclasses.replace(DIMS, blocks=(1,) * 4, refinement=0)
  net = dims.net(scale=4, out=3, rt=RT)
  x = normal(1, 8, 8, 4)
  params = fill(net, x)["params"]
  last = jax.tree.map(np.zeros_like, params["out"])
  made = jax.jit(net.apply)({"params": params | {"out": last}}, x)
  expected = x[..., :3].repeat(4, 1).repeat(4, 2)
  np.testing.assert_array_equal(made, expected)
  assert made.dtype == np.float32


@pytest.mark.parametrize(
  "change, scale, size, said",
  [
    (dict(blocks=(1, 1, 1)), 1, 8, "dims.blocks=.* 4 numbers"),
    (dict(heads=(1, 0, 1, 1)), 1, 8, "dims.heads=.* at least 1"),
    (dict(width=5), 1, 8, "dims.width=5 is odd"),
    (dict(heads=(1, 3, 2, 4)), 1, 8, "8 channels of level 1 .* 3 heads"),
    (dict(unshuffle=2), 4, 64, "dims.unshuffle=2 of images that grow 4"),
    (dict(), 2, 64, "dims.unshuffle=1 of images that grow 2"),
    (dict(unshuffle=4), 1, 40, "size 40 does not divide by 32"),
    (dict(), 4, 40, "size 40 does not divide by 32"),
  ],
)
def test_dims_that_do_not_fit_are_named(change, scale, size, said):
  with pytest.raises(ValueError, match=said):
    dataclasses.replace(DIMS, **change).check(scale, size)
  DIMS.check(1, 40)
  DIMS.check(4, 64)
