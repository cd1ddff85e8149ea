import functools

import jax
import numpy as np
import pytest

from jmim.core import runtime
from jmim.nn import causal_conv
from jmim.nn.nets import video_deep
from jmim.nn.nets import video_sizes

NORM = functools.partial(causal_conv.frame_norm, runtime.Runtime(), 1)
SIZE = video_sizes.size("deep-f4x4", width=4, code=2, chunk=17)
CLIP = np.random.default_rng(0).normal(size=(1, 9, 8, 8, 3)).astype("f4")


def after(x, t):
  """The clip with other frames from t on."""
  return np.where((np.arange(x.shape[1]) < t)[:, None, None, None], x, 1 - x)


@pytest.mark.parametrize("dual", [True, False])
def test_later_frames_leave_earlier_latents(fill, dual):
  size = (
    SIZE if dual else video_sizes.size("deep-f2x2", width=4, code=2, chunk=17)
  )
  net = video_deep.Encoder(size=size)
  variables, apply = fill(net, CLIP), jax.jit(net.apply)
  before = apply(variables, CLIP)
  assert before.shape[1] == size.latents(9)
  for t in (1, 2, 5, 8):
    found = apply(variables, after(CLIP, t))
    # Latent i knows frames up to i f.
    same = -(-t // size.time_factor)
    np.testing.assert_array_equal(found[:, :same], before[:, :same])
    assert np.abs(found[:, same:] - before[:, same:]).max() > 1e-4


@pytest.mark.parametrize("dual", [True, False])
def test_later_latents_leave_earlier_frames(fill, dual):
  size = (
    SIZE if dual else video_sizes.size("deep-f2x2", width=4, code=2, chunk=17)
  )
  z = np.random.default_rng(1).normal(size=(1, 3, 2, 2, 2)).astype("f4")
  net = video_deep.Decoder(size=size)
  variables, apply = fill(net, z), jax.jit(net.apply)
  before, surplus = apply(variables, z), 2 ** len(size.time_up) - 1
  assert before.shape[1] - surplus == size.frames(3)
  for t in (1, 2):
    found = apply(variables, after(z, t))
    same = surplus + size.frames(t)
    np.testing.assert_array_equal(found[:, :same], before[:, :same])
    assert np.abs(found[:, same:] - before[:, same:]).max() > 1e-4


def test_a_place_sees_those_before_it_and_no_other(fill):
  net = video_deep.Attention(norm=NORM)
  x = np.random.default_rng(2).normal(size=(1, 2, 2, 3, 4)).astype("f4")
  variables, apply = fill(net, x), jax.jit(net.apply)
  before = np.asarray(apply(variables, x)).reshape(12, -1)
  for place in range(11):
    # Two neighbours change places: statistics of norms stay.
    swapped = x.reshape(12, -1).copy()
    swapped[[place, place + 1]] = swapped[[place + 1, place]]
    if place == 5:  # of two frames
      continue
    found = apply(variables, swapped.reshape(x.shape))
    found = np.asarray(found).reshape(12, -1)
    np.testing.assert_allclose(found[:place], before[:place], atol=1e-6)
    assert np.abs(found[place] - before[place]).max() > 1e-3
  # A query's own frame is masked, not cut: its last place sees all of it.
  moved = x.copy()
  moved[0, 0] = x[0, 0, ::-1]
  found = np.asarray(apply(variables, moved)).reshape(12, -1)
  np.testing.assert_allclose(found[6:], before[6:], atol=1e-5)
