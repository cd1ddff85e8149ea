import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import runtime
from jmim.nn import causal_conv

RT = runtime.Runtime()
RNG = np.random.default_rng(0)
CLIP = RNG.normal(size=(2, 5, 4, 4, 3)).astype(np.float32)


@pytest.mark.parametrize("front", causal_conv.FRONTS)
@pytest.mark.parametrize("stride", [(1, 1, 1), (2, 2, 2)])
def test_later_frames_change_nothing_that_is_earlier(fill, front, stride):
  layer = causal_conv.CausalConv(width=4, stride=stride, front=front)
  params = fill(layer, CLIP)
  apply = jax.jit(layer.apply)
  before = apply(params, CLIP)
  assert before.shape[1] == -(-5 // stride[0])
  for t in range(1, 5):
    after = apply(params, CLIP + (np.arange(5) >= t)[:, None, None, None])
    seen = -(-t // stride[0])  # results at t' s < t
    np.testing.assert_array_equal(after[:, :seen], before[:, :seen])
    assert np.abs(after[:, seen:] - before[:, seen:]).max((0, 2, 3, 4)).all()


def test_a_result_is_a_sum_over_its_frame_and_those_before(fill):
  layer = causal_conv.CausalConv(width=2)
  p = fill(layer, CLIP)["params"]
  found = layer.apply({"params": p}, CLIP)
  padded = np.pad(CLIP, ((0, 0), (2, 0), (1, 1), (1, 1), (0, 0)))
  cube = padded[:, 1:4, 1:4, 2:5]  # what time 1, row 1, column 2 sees
  wanted = np.einsum("bthwc,thwcd->bd", cube, p["kernel"]) + p["bias"]
  np.testing.assert_allclose(found[:, 1, 1, 2], wanted, atol=1e-5)


def test_with_the_first_frame_in_front_a_still_clip_stays_still(fill):
  layer = causal_conv.CausalConv(width=4, front="first")
  still = np.repeat(CLIP[:, :1], 5, axis=1)
  y = layer.apply(fill(layer, still), still)
  np.testing.assert_allclose(y, y[:, :1] + 0 * y, atol=1e-6)
  with pytest.raises(ValueError, match="front 'none' is none of zeros, first"):
    causal_conv.led(CLIP, 1, "none")


class Norm(nn.Module):
  """A norm of frames alone."""

  @nn.compact
  def __call__(self, x):
    return causal_conv.frame_norm(RT, 3, "norm")(x)


def test_norms_are_of_single_frames():
  moved = CLIP.copy()
  moved[:, 2] = 7 * moved[:, 2] + 1
  net, others = Norm(), [0, 1, 3, 4]
  params = net.init(jax.random.key(0), CLIP)
  found, other = net.apply(params, CLIP), net.apply(params, moved)
  np.testing.assert_array_equal(found[:, others], other[:, others])
  # A frame is normalised whatever its scale and mean.
  np.testing.assert_allclose(found[:, 2], other[:, 2], atol=1e-4)
  np.testing.assert_allclose(found.mean((2, 3)), 0, atol=1e-5)


def test_shuffles_undo_each_other_and_count_frames():
  cubes = causal_conv.unshuffle(CLIP, 2)
  assert cubes.shape == (2, 3, 2, 2, 24)
  np.testing.assert_array_equal(causal_conv.shuffle(cubes, 2), CLIP)
  # The channel is slowest, then time; the added frame is 0.
  first = np.asarray(cubes[:, 0]).reshape(2, 2, 2, 3, 2, 2, 2)
  assert not first[..., 0, :, :].any()
  np.testing.assert_array_equal(first[..., 1, 0, 1], CLIP[:, 0, ::2, 1::2])
  one = causal_conv.unshuffle(CLIP[:, :1], 2)
  assert one.shape[1] == causal_conv.shuffle(one, 2).shape[1] == 1
  with pytest.raises(ValueError, match="1 \\+ 2 k frames"):
    causal_conv.unshuffle(CLIP[:, :4], 2)


def test_means_of_copies_are_what_was_copied():
  x = jnp.asarray(CLIP)
  spread = causal_conv.spread(x, 12)
  np.testing.assert_array_equal(spread[..., :4], np.repeat(CLIP[..., :1], 4, 4))
  np.testing.assert_allclose(causal_conv.grouped(spread, 3), x, rtol=1e-6)
