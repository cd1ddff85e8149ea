import jax
import numpy as np

from jmim.nn.nets import codec_blocks

X = np.random.default_rng(0).normal(size=(1, 4, 4, 8)).astype(np.float32)


def zeroed(params, *names):
  """The parameters with the last map of the branch at 0."""
  return {
    n: jax.tree.map(np.zeros_like, x) if n in names else x
    for n, x in params.items()
  }


def test_a_block_whose_branch_is_silent_is_the_identity(fill):
  block = codec_blocks.Block(8, groups=2)
  params = fill(block, X)["params"]
  run = jax.jit(lambda p: block.apply({"params": p}, X))
  np.testing.assert_array_equal(run(zeroed(params, "conv2")), X)
  assert np.abs(run(params) - X).max() > 0.1


def test_another_width_has_a_map_beside_the_branch(fill):
  block = codec_blocks.Block(6, groups=2)
  params = fill(block, X)["params"]
  found = jax.jit(block.apply)({"params": zeroed(params, "conv2")}, X)
  wanted = X @ params["skip"]["kernel"] + params["skip"]["bias"]
  np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5)


def test_attention_mixes_all_places_and_knows_no_order(fill):
  net = codec_blocks.Attention(groups=2)
  params = fill(net, X)
  run = jax.jit(net.apply)
  turned = run(params, X[:, ::-1])[:, ::-1]
  np.testing.assert_allclose(turned, run(params, X), rtol=1e-4, atol=1e-5)
  moved = run(params, np.concatenate([X[:, :1] + 1, X[:, 1:]], 1))
  assert np.abs(moved - run(params, X))[:, 3].max() > 1e-4
