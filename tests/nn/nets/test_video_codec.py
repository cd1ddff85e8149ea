import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.nn.nets import video_codec
from jmim.nn.nets import video_sizes

SIZE = video_sizes.size("deep-f4x4", width=4, code=2)
NET = video_codec.VideoCodec(size=SIZE)
RNG = np.random.default_rng(0)
CLIP = RNG.normal(size=(2, 10, 8, 8, 3)).astype("f4")


@pytest.fixture(scope="module")
def params(fill):
  return fill(NET)


def test_seventeen_frames_are_three_and_back(fill):
  size = video_sizes.size(
    "deep-f8x16",
    width=2,
    multipliers=(1, 1, 2, 2),
    code=1,
    blocks=1,
    norm_groups=1,
  )
  net = video_codec.VideoCodec(size=size)
  x = jnp.zeros((1, 17, 16, 16, 3))
  like = jax.eval_shape(net.init, jax.random.key(0))
  moments, _ = jax.eval_shape(net.encode, like, x)
  assert moments.shape == (1, 3, 1, 1, 2)
  z = jax.ShapeDtypeStruct((1, 3, 1, 1, 1), jnp.float32)
  back = jax.eval_shape(net.decode, like, z)
  assert back.shape == x.shape


def test_chunks_know_nothing_of_each_other(params):
  encode = jax.jit(lambda x: NET.encode(params, x)[0])
  both = encode(CLIP)
  assert both.shape[1] == SIZE.latents(10) == 4
  halves = [encode(CLIP[:, :5]), encode(CLIP[:, 5:])]
  np.testing.assert_allclose(both, np.concatenate(halves, 1), atol=1e-5)
  # What is left behind whole chunks is one, too.
  image = encode(CLIP[:, :6])
  np.testing.assert_allclose(image[:, :2], halves[0], atol=1e-5)
  np.testing.assert_allclose(image[:, 2:], encode(CLIP[:, 5:6]), atol=1e-5)


def test_borders_are_blended_after_decoding(params):
  z = RNG.normal(size=(1, 6, 2, 2, 2)).astype("f4")
  decode = jax.jit(lambda z: NET.decode(params, z))
  alone = np.concatenate([decode(z[:, i : i + 2]) for i in (0, 2, 4)], axis=1)
  found = decode(z)
  assert found.shape[1] == SIZE.frames(6) == 15
  wanted = alone.copy()
  for back in (5, 10):
    wanted[:, back] = 0.6 * alone[:, back] + 0.4 * alone[:, back - 1]
    wanted[:, back - 1] = 0.6 * alone[:, back - 1] + 0.4 * wanted[:, back]
  np.testing.assert_allclose(found, wanted, atol=1e-5)
  still = jnp.ones((1, 15, 2, 2, 3))
  np.testing.assert_allclose(video_codec.blended(still, 5), still, rtol=1e-6)


def test_an_image_is_a_clip_of_one_frame(params):
  moments, _ = jax.jit(NET.encode)(params, CLIP[:, :1])
  made = jax.jit(NET.decode)(params, moments[..., :2])
  assert made.shape == CLIP[:, :1].shape
  # And the first latent of a clip is that of its first frame.
  whole, _ = jax.jit(NET.encode)(params, CLIP[:, :5])
  np.testing.assert_allclose(whole[:, :1], moments, atol=1e-5)
