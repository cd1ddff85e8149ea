"""Norms of the Video-VAE's versions: of whole clips in 1, of frames in 2."""

import golden_kit
import jax
import numpy as np
import pytest

from jmim.nn.nets import video_deep

ADAPTER = golden_kit.adapter("step_video_vae")
CONFIG = {"ch": 32, "ch_mult": [1, 1], "num_res_blocks": 1, "z_channels": 2}


def grouped(x, scale, bias, axes):
  """GroupNorm of 32 groups of [b, t, h, w, c] over some axes of a group."""
  y = x.reshape(*x.shape[:-1], 32, -1)
  mean, var = y.mean(axes, keepdims=True), y.var(axes, keepdims=True)
  y = (y - mean) / np.sqrt(var + 1e-5)
  return y.reshape(x.shape) * scale + bias


@pytest.mark.parametrize("version", [1, 2])
def test_norms_of_attention_are_of_clips_or_of_frames(version):
  """base_group_norm.spatial: of version 2 alone."""
  size = ADAPTER.size(CONFIG | {"version": version})
  levels = video_deep.Decoder(size=size)
  net = video_deep.Attention(norm=levels.norm)
  x = golden_kit.normal(1, 3, 2, 2, 64) + np.arange(3)[:, None, None, None]
  x = x.astype(np.float32)
  shapes = jax.eval_shape(net.init, jax.random.key(0), x)["params"]
  params = golden_kit.weights(shapes)
  p = jax.tree.map(lambda a: np.asarray(a, np.float64), params)
  axes = (1, 2, 3, 5) if version == 1 else (2, 3, 5)
  y = grouped(x.astype(float), p["norm"]["scale"], p["norm"]["bias"], axes)
  kernel = p["qkv"]["kernel"].reshape(64, -1)
  y = y.reshape(12, 64) @ kernel + p["qkv"]["bias"].reshape(-1)
  q, k, v = np.split(y, 3, axis=-1)
  logits = np.where(np.tri(12) > 0, q @ k.T / 8, -np.inf)
  share = np.exp(logits - logits.max(-1, keepdims=True))
  y = share / share.sum(-1, keepdims=True) @ v
  y = y @ p["proj"]["kernel"].reshape(64, 64) + p["proj"]["bias"]
  found = net.apply({"params": params}, x)
  np.testing.assert_allclose(found[0], x[0] + y.reshape(x[0].shape), atol=2e-4)


@pytest.mark.parametrize("version", [1, 2])
def test_a_later_frame_reaches_an_earlier_one_by_norms_alone(version):
  size = ADAPTER.size(CONFIG | {"version": version}, time_down=())
  net = video_deep.Encoder(size=size)
  x = golden_kit.normal(1, 5, 8, 8, 3)
  shapes = jax.eval_shape(net.init, jax.random.key(0), x)["params"]
  params, apply = golden_kit.weights(shapes), jax.jit(net.apply)
  moved = np.where(np.arange(5)[:, None, None, None] == 4, 3 * x, x)
  gap = apply({"params": params}, x) - apply({"params": params}, moved)
  assert (np.abs(gap[:, 0]).max() > 1e-6) == (version == 1)
