"""Cases of Step-Video's autoencoder that are not at hand: sizes and options.

The networks once more in numpy, from the authors' names and layouts, one clip
at a time.
"""

import golden_kit
import jax
import numpy as np
import pytest

from jmim.convert import table
from jmim.convert.tables import step_video_vae as convert
from jmim.nn.nets import video_codec
from jmim.nn.nets import video_deep

STEP_VIDEO = golden_kit.adapter("step_video")
ENCODER = {
  "ch": 32,
  "ch_mult": [1, 1, 2],
  "num_res_blocks": 2,
  "z_channels": 1,
}
DECODER = ENCODER | {"num_res_blocks": 1}


def silu(x):
  return x / (1 + np.exp(-x))


def grouped(x, width):
  """Means of neighbours among the channels."""
  return x.reshape(width, -1, *x.shape[1:]).mean(1)


def spread(x, width):
  return np.repeat(x, width // len(x), axis=0)


def unshuffled(x):
  """[c, t, h, w] to [8 c, ...], one frame of zeros in front."""
  x = np.pad(x, ((0, 0), (1, 0), (0, 0), (0, 0)))
  each = [x[:, p::2, q::2, r::2] for p, q, r in np.ndindex(2, 2, 2)]
  return np.stack(each, 1).reshape(-1, *each[0].shape[1:])


def shuffled(x):
  """Back again, without the first frame."""
  c, t, h, w = len(x) // 8, *x.shape[1:]
  y = np.zeros((c, 2 * t, 2 * h, 2 * w))
  for i, (p, q, r) in enumerate(np.ndindex(2, 2, 2)):
    y[:, p::2, q::2, r::2] = x[i::8]
  return y[:, 1:]


class Reference:
  """A clip is [c, t, h, w]."""

  def __init__(self, config, params):
    self.c = config
    self.p = {k: v.astype(np.float64) for k, v in params.items()}
    self.last = len(config["ch_mult"]) - 1
    self.inner = 32 * config["z_channels"]

  def conv(self, name, x, stride=1):
    """Causal: k - 1 zeros in front, k // 2 on every side of a frame."""
    kernel, bias = self.p[f"{name}.weight"], self.p[f"{name}.bias"]
    k = kernel.shape[-1]
    side = (k // 2, k // 2)
    return self._conv(
      kernel, bias, np.pad(x, ((0, 0), (k - 1, 0), side, side)), stride
    )

  def flat(self, name, x, stride=1):
    """Of each frame; of stride 2 a zero row and column at the end."""
    kernel, bias = self.p[f"{name}.weight"][:, :, None], self.p[f"{name}.bias"]
    side = (0, 1) if stride == 2 else (1, 1)
    x = np.pad(x, ((0, 0), (0, 0), side, side))
    return self._conv(kernel, bias, x, (1, stride, stride))

  def _conv(self, kernel, bias, x, stride):
    taps = kernel.shape[2:]
    stride = np.broadcast_to(stride, 3)
    sizes = [
      (n - k) // s + 1
      for n, k, s in zip(x.shape[1:], taps, stride, strict=True)
    ]
    total = bias[:, None, None, None]
    for at in np.ndindex(*taps):
      part = x
      for axis, (i, n, s) in enumerate(zip(at, sizes, stride, strict=True)):
        part = part.take(i + s * np.arange(n), axis=axis + 1)
      total = total + np.einsum("oc,cthw->othw", kernel[(..., *at)], part)
    return total

  def norm(self, name, x):
    """32 groups, of version 1 of the whole clip, of version 2 of each frame."""
    y = x.reshape(32, -1, *x.shape[1:])
    axes = (1, 3, 4) if self.c["version"] == 2 else (1, 2, 3, 4)
    mean, var = (f(axes, keepdims=True) for f in (y.mean, y.var))
    y = ((y - mean) / np.sqrt(var + 1e-5)).reshape(x.shape)
    weight, bias = self.p[f"{name}.weight"], self.p[f"{name}.bias"]
    return weight[:, None, None, None] * y + bias[:, None, None, None]

  def block(self, name, x):
    y = x
    for i in (1, 2):
      y = self.conv(
        f"{name}.conv{i}.conv", silu(self.norm(f"{name}.norm{i}", y))
      )
    skip = f"{name}.nin_shortcut.conv"
    return y + (self.conv(skip, x) if f"{skip}.weight" in self.p else x)

  def attention(self, name, x):
    y = self.norm(f"{name}.norm", x)
    q, k, v = (
      self.conv(f"{name}.{n}.conv", y).reshape(len(x), -1) for n in "qkv"
    )
    logits = q.T @ k / np.sqrt(len(x))
    logits[np.triu_indices(len(logits), 1)] = -np.inf
    shares = np.exp(logits - logits.max(1, keepdims=True))
    shares /= shares.sum(1, keepdims=True)
    y = (v @ shares.T).reshape(x.shape)
    return x + self.conv(f"{name}.proj_out.conv", y)

  def middle(self, x):
    """(what is behind it, and behind its attention)."""
    seen = self.attention("mid.attn_1", self.block("mid.block_1", x))
    return self.block("mid.block_2", seen), seen

  def encoded(self, x):
    c = self.c
    y = self.conv("conv_in.conv", x)
    for level in range(self.last + 1):
      for i in range(c["num_res_blocks"]):
        y = self.block(f"down.{level}.block.{i}", y)
      name = f"down.{level}.downsample.conv"
      if level in c["down_sampling_layer"]:
        y = self.conv(f"{name}.conv", y, stride=2)
      elif level < self.last:
        y = self.flat(name, y, stride=2)
    y, seen = self.middle(y)
    y = silu(self.norm("norm_out", y))
    width, straight = c["z_channels"] * (1 + c["double_z"]), 0
    if c["version"] == 2:
      straight = grouped(unshuffled(y), self.inner)
      y = unshuffled(self.conv("conv_patchify.conv.conv", y)) + straight
      straight = grouped(y, width)
    moments = self.conv("conv_out.conv", y) + straight
    return {"mid_attn": seen, "moments": moments.swapaxes(0, 1)}

  def twice(self, name, x):
    """Frames, rows and columns."""
    x = x.repeat(2, 1).repeat(2, 2).repeat(2, 3)
    y = silu(self.norm(f"{name}.norm1", self.conv(f"{name}.conv1.conv", x)))
    y = self.norm(f"{name}.norm2", self.conv(f"{name}.conv2.conv", y))
    return silu(y + x) + x

  def decoded(self, z):
    c = self.c
    width = c["ch"] * c["ch_mult"][-1]
    y = self.conv("conv_in.conv", z)
    if c["version"] == 2:
      y = y + spread(z, self.inner)
      straight = shuffled(spread(y, 8 * width))
      y = shuffled(self.conv("conv_unpatchify.conv.conv", y)) + straight
    y, _ = self.middle(y)
    for level in range(self.last, -1, -1):
      for i in range(c["num_res_blocks"] + 1):
        y = self.block(f"up.{level}.block.{i}", y)
      name = f"up.{level}.upsample"
      if level in c["temporal_up_layers"]:
        y = self.twice(f"{name}.conv3d", y)
      elif level:
        y = self.flat(f"{name}.conv", y.repeat(2, 2).repeat(2, 3))
    y = self.conv("conv_out.conv", silu(self.norm("norm_out", y)))
    return {"video": y[:, c["temporal_downsample"] - 1 :]}


def check(config, theirs, inputs, samples):
  """The adapter gives what the reference does of each sample; all of it."""
  found = STEP_VIDEO.run(golden_kit.Asked(config, inputs, theirs))
  assert set(found) == set(samples[0])
  for name in found:
    wanted = np.stack([sample[name] for sample in samples])
    np.testing.assert_allclose(
      found[name], wanted, atol=2e-4 * abs(wanted).max(), err_msg=name
    )
  return found


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("levels", [[], [0], [0, 1]])
def test_an_encoder_halves_time_where_the_config_says(version, levels):
  config = ENCODER | dict(
    down_sampling_layer=levels, version=version, double_z=version == 2
  )
  size = STEP_VIDEO.step_video_vae.size(config, time_down=tuple(levels))
  net = video_deep.Encoder(size=size, out=1 + config["double_z"])
  x = golden_kit.normal(2, 3, 9, 16, 8)
  clip = x.transpose(0, 2, 3, 4, 1)
  like = jax.eval_shape(net.init, jax.random.key(0), clip)["params"]
  theirs = table.export_tree(convert.encoder(size), golden_kit.weights(like))
  reference = Reference(config, theirs)
  wanted = [reference.encoded(one) for one in x]
  out = check(config, theirs, {"x": x}, wanted)
  frames = -(-9 // 2 ** (len(levels) + version - 1))
  channels, side = 1 + config["double_z"], 4 // version
  assert out["moments"].shape == (2, frames, channels, side, side // 2)


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("levels", [[], [2], [1, 2]])
def test_a_decoder_doubles_time_where_the_config_says(version, levels):
  config = DECODER | dict(
    temporal_up_layers=levels,
    temporal_downsample=2 ** len(levels),
    version=version,
  )
  size = STEP_VIDEO.step_video_vae.size(config, time_up=tuple(levels))
  net = video_codec.VideoCodec(size=size)
  z, key = golden_kit.normal(2, 2, 1, 2, 1), jax.random.key(0)
  latents = z.transpose(0, 1, 3, 4, 2)
  like = {"decoder": jax.eval_shape(net.decoder.init, key, latents)["params"]}
  features = np.zeros((1, 1, 1, 1, 32), "f4")
  like["last"] = jax.eval_shape(net.last.init, key, features)["params"]
  theirs = table.export_tree(convert.decoder(size), golden_kit.weights(like))

  def decoded(config):
    reference = Reference(config, theirs)
    wanted = [reference.decoded(one.swapaxes(0, 1)) for one in z]
    return check(config, theirs, {"z": z}, wanted)["video"]

  made = decoded(config)
  assert made.shape[2] == 1 + version * 2 ** len(levels)
  # A case may leave out another number of frames.
  fewer = decoded(config | {"temporal_downsample": 2 ** len(levels) + 1})
  np.testing.assert_array_equal(fewer, made[:, :, 1:])
