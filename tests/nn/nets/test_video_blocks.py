import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import runtime
from jmim.nn import causal_conv
from jmim.nn.nets import video_blocks
from jmim.nn.nets import video_deep
from jmim.nn.nets import video_sizes

RNG = np.random.default_rng(0)
X = RNG.normal(size=(1, 4, 4, 4, 4)).astype(np.float32)
NORM = functools.partial(causal_conv.frame_norm, runtime.Runtime(), 2)


def block(width, front="zeros"):
  return video_blocks.Block(width=width, norm=NORM, front=front)


@pytest.mark.parametrize("width", [4, 6])
def test_a_block_adds_to_its_input_what_its_convolutions_make(fill, width):
  net = block(width)
  params = fill(net, X)["params"]
  last = {"conv2": jax.tree.map(jnp.zeros_like, params["conv2"])}
  y = net.apply({"params": params | last}, X)
  if width == 4:
    assert "skip" not in params
    np.testing.assert_array_equal(y, X)
  else:
    skip = params["skip"]
    np.testing.assert_allclose(
      y, X @ skip["kernel"].reshape(4, 6) + skip["bias"], atol=1e-5
    )


def test_a_block_is_causal_and_told_its_front(fill):
  params = fill(block(4), X)
  zeros, first = (block(4, f).apply(params, X) for f in causal_conv.FRONTS)
  assert np.abs(zeros - first)[:, 0].max() > 1e-3
  later = X.copy()
  later[:, 2:] += 1
  moved = block(4).apply(params, later)
  np.testing.assert_array_equal(moved[:, :2], zeros[:, :2])
  assert np.abs(moved - zeros)[:, 2:].max() > 1e-3


@pytest.mark.parametrize("remat", ["full", "dots"])
def test_blocks_computed_again_have_the_same_names_and_gradients(fill, remat):
  size = video_sizes.size("deep-f2x2", width=4, code=2)
  plain = video_deep.Encoder(size=size)
  again = video_deep.Encoder(size=size, rt=runtime.Runtime(remat=remat))
  x = RNG.normal(size=(1, 2, 4, 4, 3)).astype(np.float32)
  params = fill(plain, x)["params"]

  def gradient(net):
    loss = lambda p: (net.apply({"params": p}, x) ** 2).sum()
    return jax.jit(jax.grad(loss))(params)

  one, other = gradient(plain), gradient(again)
  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4),
    one,
    other,
  )
