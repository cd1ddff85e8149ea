"""Cases of Step-Video's autoencoder that are not at hand: sizes and options."""

import pathlib

import golden_kit
import goldens
import jax
import numpy as np
import pytest

from jmim.convert import table
from jmim.convert.tables import step_video_vae as convert
from jmim.nn.nets import video_codec
from jmim.nn.nets import video_deep

STEP_VIDEO = golden_kit.adapter("step_video")
RNG = np.random.default_rng(0)


def filled(shapes):
  """Random arrays of these shapes."""
  each = lambda s: (0.1 * RNG.normal(size=s.shape)).astype(s.dtype)
  return jax.tree.map(each, shapes)


def case(config, params, outputs, **inputs):
  """As `goldens.load` reads one."""
  return goldens.Case(
    path=pathlib.Path("made"),
    info={"config": config},
    inputs=inputs,
    outputs=outputs,
    params=params,
  )


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("levels", [[], [0], [0, 1]])
def test_an_encoder_halves_time_where_the_config_says(version, levels):
  config = dict(
    ch=32,
    ch_mult=[1, 1, 2],
    num_res_blocks=2,
    z_channels=1,
    down_sampling_layer=levels,
    version=version,
    double_z=version == 2,
  )
  size = STEP_VIDEO.step_video_vae.size(config, time_down=tuple(levels))
  net = video_deep.Encoder(size=size, out=1 + config["double_z"])
  x = RNG.normal(size=(1, 9, 16, 16, 3)).astype("f4")
  ours = filled(jax.eval_shape(net.init, jax.random.key(0), x)["params"])
  theirs = table.export_tree(convert.encoder(size), ours)
  out = STEP_VIDEO.run(case(config, theirs, {}, x=x.transpose(0, 4, 1, 2, 3)))
  factor = 2 ** (len(levels) + version - 1)
  side, channels = 4 // version, 1 + config["double_z"]
  frames = -(-9 // factor)
  assert out["moments"].shape == (1, frames, channels, side, side)
  inner = -(-9 // 2 ** len(levels))
  assert out["mid_attn"].shape == (1, 64, inner, 4, 4)
  found = np.asarray(net.apply({"params": ours}, x))
  moved = out["moments"].transpose(0, 1, 3, 4, 2)
  np.testing.assert_allclose(moved, found, atol=1e-5)


@pytest.mark.parametrize("levels", [[], [2], [1, 2]])
def test_a_decoder_doubles_time_where_the_config_says(levels):
  config = dict(
    ch=32,
    ch_mult=[1, 1, 2],
    num_res_blocks=1,
    z_channels=1,
    temporal_up_layers=levels,
    temporal_downsample=2 ** len(levels),
    version=2,
  )
  size = STEP_VIDEO.step_video_vae.size(config, time_up=tuple(levels))
  net = video_codec.VideoCodec(size=size)
  z = RNG.normal(size=(1, 2, 1, 1, 1)).astype("f4")
  key = jax.random.key(0)
  shapes = {"decoder": jax.eval_shape(net.decoder.init, key, z)["params"]}
  features = np.zeros((1, 1, 1, 1, 32), "f4")
  shapes["last"] = jax.eval_shape(net.last.init, key, features)["params"]
  ours = filled(shapes)
  theirs = table.export_tree(convert.decoder(size), ours)
  made = STEP_VIDEO.run(case(config, theirs, {}, z=z.transpose(0, 1, 4, 2, 3)))
  video = made["video"].transpose(0, 2, 3, 4, 1)
  assert video.shape[1] == 1 + 2 * 2 ** len(levels)
  wanted = net.pixels(ours, net.features(ours, z))
  np.testing.assert_allclose(video, wanted, atol=1e-5)
  # A case may leave out another number of frames.
  more = config | {"temporal_downsample": 2 ** len(levels) + 1}
  fewer = STEP_VIDEO.run(case(more, theirs, {}, z=z.transpose(0, 1, 4, 2, 3)))
  np.testing.assert_array_equal(fewer["video"], made["video"][:, :, 1:])
