import dataclasses
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


def normed(x, scale, bias, axes):
  """GroupNorm of 2 groups of [t, h, w, c] over some axes of a group."""
  y = x.reshape(*x.shape[:-1], 2, -1)
  mean, var = y.mean(axes, keepdims=True), y.var(axes, keepdims=True)
  y = (y - mean) / np.sqrt(var + 1e-5)
  return y.reshape(x.shape) * scale + bias


def of_clips(whole):
  """Sizes of a network whose norms are of whole clips, or of frames."""
  more = dict(dual=False, clip_norms=whole, norm_groups=2, time_down=())
  return dataclasses.replace(SIZE, time_up=(), multipliers=(1, 1), **more)


@pytest.mark.parametrize("whole", [True, False])
def test_norms_of_attention_are_of_clips_or_of_frames(fill, whole):
  """Once more in numpy: the norm, attention of 12 places, the way around."""
  net = video_deep.Attention(norm=video_deep.Decoder(size=of_clips(whole)).norm)
  x = np.random.default_rng(3).normal(size=(1, 3, 2, 2, 8))
  x = (x + np.arange(3)[:, None, None, None]).astype("f4")
  variables = fill(net, x)
  p = jax.tree.map(lambda a: np.asarray(a, np.float64), variables["params"])
  axes = (0, 1, 2, 4) if whole else (1, 2, 4)
  y = normed(x[0].astype(float), **p["norm"], axes=axes).reshape(12, 8)
  y = y @ p["qkv"]["kernel"].reshape(8, -1) + p["qkv"]["bias"].reshape(-1)
  q, k, v = np.split(y, 3, axis=-1)
  share = np.where(np.tri(12) > 0, np.exp(q @ k.T / 8**0.5), 0)
  y = share / share.sum(-1, keepdims=True) @ v
  y = y @ p["proj"]["kernel"].reshape(8, 8) + p["proj"]["bias"]
  found = net.apply(variables, x)
  np.testing.assert_allclose(found[0], x[0] + y.reshape(x[0].shape), atol=2e-4)


@pytest.mark.parametrize("whole", [True, False])
def test_a_later_frame_reaches_an_earlier_one_by_norms_alone(fill, whole):
  net = video_deep.Encoder(size=of_clips(whole))
  x = np.random.default_rng(4).normal(size=(1, 5, 8, 8, 3)).astype("f4")
  variables, apply = fill(net, x), jax.jit(net.apply)
  moved = np.where(np.arange(5)[:, None, None, None] == 4, 3 * x, x)
  gap = apply(variables, x) - apply(variables, moved)
  assert (np.abs(gap[:, 0]).max() > 1e-6) == whole
