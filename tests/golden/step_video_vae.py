"""The encoder and the decoder of Step-Video, each a case of its own."""

import dataclasses

import einops
import jax
import jax.numpy as jnp
import numpy as np

from jmim.convert import table
from jmim.convert.tables import step_video_vae as convert
from jmim.methods.video import autoencoder3d
from jmim.nn.nets import video_codec
from jmim.nn.nets import video_deep


def size(config, **more):
  """The method's as a case has it, which is of one half alone."""
  assert config["version"] in (1, 2)
  return dataclasses.replace(
    autoencoder3d.Autoencoder3D().net.size,
    width=config["ch"],
    multipliers=tuple(config["ch_mult"]),
    blocks=config["num_res_blocks"],
    code=config["z_channels"],
    dual=config["version"] == 2,
    clip_norms=config["version"] == 1,
    chunk=0,
    norm_groups=32,
    **more,
  )


def encoder(case):
  """All of a clip as one chunk."""
  c = case.config
  levels = tuple(c["down_sampling_layer"])
  x = einops.rearrange(case.inputs["x"], "b c t h w -> b t h w c")
  own = size(c, time_down=levels, channels=x.shape[-1])
  net = video_deep.Encoder(size=own, out=1 + c.get("double_z", True))
  params = table.import_tree(convert.encoder(own), case.params)
  known = lambda net, _: net.name == "middle_attention"

  @jax.jit
  def apply(params, x):
    return net.apply({"params": params}, x, capture_intermediates=known)

  moments, seen = apply(params, jnp.asarray(x))
  (mid,) = seen["intermediates"]["middle_attention"]["__call__"]
  return {
    "mid_attn": einops.rearrange(np.asarray(mid), "b t h w c -> b c t h w"),
    "moments": einops.rearrange(np.asarray(moments), "b t h w c -> b t c h w"),
  }


def decoder(case):
  """All latents as one chunk."""
  c = case.config
  levels = tuple(c["temporal_up_layers"])
  channels = len(case.params["conv_out.conv.bias"])
  own = size(c, time_up=levels, channels=channels)
  net = video_codec.VideoCodec(size=own)
  params = table.import_tree(convert.decoder(own), case.params)
  z = einops.rearrange(case.inputs["z"], "b t c h w -> b t h w c")

  @jax.jit
  def decode(params, z):
    features = net.features(params, z)
    return net.last.apply({"params": params["last"]}, features)

  # How many frames are left out is a number of its own there; ours is what the
  # levels add.
  video = decode(params, jnp.asarray(z))[:, c["temporal_downsample"] - 1 :]
  return {
    "video": einops.rearrange(np.asarray(video), "b t h w c -> b c t h w")
  }
