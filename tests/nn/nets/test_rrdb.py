import jax
import numpy as np
import pytest

from jmim.core import runtime
from jmim.core import tree as trees
from jmim.nn.nets import rrdb

DIMS = rrdb.Dims(width=6, growth=4, blocks=3)
NET = DIMS.net(2, 3, runtime.Runtime())


def counted(width, growth, blocks, doublings, channels=3):
  """Parameters by hand: kernels 3 x 3 with biases."""
  conv = lambda i, o: 9 * i * o + o
  dense = sum(conv(width + n * growth, growth) for n in range(4))
  dense += conv(width + 4 * growth, width)
  ends = conv(channels, width) + conv(width, channels)
  return 3 * blocks * dense + ends + (2 + doublings) * conv(width, width)


@pytest.mark.parametrize(
  "blocks, factor, doublings", [(17, 4, 2), (2, 2, 1), (2, 8, 3)]
)
def test_parameters_are_those_of_the_paper_and_one_layer_per_doubling(
  blocks, factor, doublings
):
  net = rrdb.Dims(blocks=blocks).net(factor, 3, runtime.Runtime())
  x = np.zeros((1, 4, 4, 3), np.float32)
  (image, seen), variables = jax.eval_shape(
    net.init_with_output, jax.random.key(0), x
  )
  found = sum(x.size for x in jax.tree.leaves(variables))
  assert found == counted(64, 32, blocks, doublings)
  assert image.shape == (1, 4 * factor, 4 * factor, 3)
  assert seen.shape == (blocks + 1, 1, 4, 4, 64)


@pytest.fixture(scope="module")
def made(fill, normal):
  x = np.clip(normal(2, 4, 4, 3), -1, 1)
  params = fill(NET, x, scale=0.2)["params"]
  run = jax.jit(lambda p: NET.apply({"params": p}, x))
  return params, run


def test_blocks_add_a_share_of_what_they_compute(made):
  """Without its last convolution a unit passes its input on: a block then adds
  a share of its own input, and no other.
  """
  params, run = made
  image, seen = run(params)
  assert float(abs(seen[1] - seen[0]).max()) > 1e-3
  named = trees.named(params)
  bare = {n: 0 * x if "/conv5/" in n else x for n, x in named.items()}
  _, same = run(trees.nested(bare))
  np.testing.assert_allclose(same[1], 1.2 * same[0], rtol=1e-5)
  np.testing.assert_allclose(same[2], 1.2 * same[1], rtol=1e-5)
  # One more convolution of it is added to what the first made.
  assert float(abs(same[3] - same[0]).max()) > 1e-3
  assert float(abs(image).max()) <= 1


def test_what_is_clipped_is_black_or_white(made):
  params, run = made
  high = {**params["conv_out"], "bias": np.array([9.0, -9.0, 0.5], "f4")}
  image, _ = run({**params, "conv_out": high})
  np.testing.assert_array_equal(image[..., 0], 1)
  np.testing.assert_array_equal(image[..., 1], -1)
  assert float(image[..., 2].std()) > 0


def test_it_doubles():
  rrdb.check(8)
  with pytest.raises(ValueError, match=r"degraded.factor=3: .*2, 4, 8"):
    rrdb.check(3)
