import jax
import jax.numpy as jnp
import numpy as np

from jmim.nn.nets import video_adaptive
from jmim.nn.nets import video_sizes

SIZE = video_sizes.size("adaptive-f2x4", width=4, code=2)
RNG = np.random.default_rng(0)


def test_time_is_halved_and_doubled_behind_the_first_frame():
  x = np.arange(5.0)[None, :, None]
  half = video_adaptive.half_time(x)
  np.testing.assert_array_equal(half[0, :, 0], [0, 1.5, 3.5])
  even = video_adaptive.half_time(x[:, :4])
  np.testing.assert_array_equal(even[0, :, 0], [0.5, 2.5])
  np.testing.assert_array_equal(video_adaptive.half_time(x[:, :1]), x[:, :1])
  twice = video_adaptive.twice_time(jnp.asarray(half))
  np.testing.assert_array_equal(twice[0, :, 0], [0, 1.5, 1.5, 3.5, 3.5])


def test_latents_of_norms_are_enlarged_behind_the_first_frame():
  z = jnp.arange(3.0)[None, :, None, None, None] + jnp.zeros((1, 3, 1, 2, 1))
  z = z + 10 * jnp.arange(2.0)[:, None]
  odd = video_adaptive.enlarged(z, (5, 2, 4))
  np.testing.assert_array_equal(odd[0, :, 0, 0, 0], [0, 1, 1, 2, 2])
  np.testing.assert_array_equal(odd[0, 0, 1, :, 0], [0, 0, 10, 10])
  even = video_adaptive.enlarged(z[:, :2], (4, 1, 2))
  np.testing.assert_array_equal(even[0, :, 0, 0, 0], [0, 0, 1, 1])


def test_a_still_clip_has_latents_and_frames_of_an_image(fill):
  encoder = video_adaptive.Encoder(size=SIZE)
  image = RNG.normal(size=(1, 1, 8, 8, 3)).astype("f4")
  still, encode = np.repeat(image, 5, axis=1), jax.jit(encoder.apply)
  params = fill(encoder, still)
  moments = encode(params, still)
  assert moments.shape == (1, SIZE.latents(5), 2, 2, 4)
  alone = encode(params, image)
  np.testing.assert_allclose(moments, alone + 0 * moments, atol=1e-4)
  decoder = video_adaptive.Decoder(size=SIZE)
  z = np.repeat(RNG.normal(size=(1, 1, 2, 2, 2)), 3, axis=1).astype("f4")
  params, decode = fill(decoder, z), jax.jit(decoder.apply)
  frames = decode(params, z)
  assert frames.shape == (1, 5, 8, 8, 4)
  alone = decode(params, z[:, :1])
  np.testing.assert_allclose(frames, alone + 0 * frames, atol=1e-4)


def test_norms_are_scaled_and_shifted_where_the_latents_say(fill):
  norm = video_adaptive.Norm(groups=2)
  x = RNG.normal(size=(1, 1, 4, 4, 4)).astype("f4")
  z = np.zeros((1, 1, 2, 2, 2), "f4")
  p = fill(norm, x, z)["params"]
  p["scale"]["bias"][:] = 0
  moved = z.copy()
  moved[0, 0, 0, 1, 0] = 1.0
  y = norm.apply({"params": p}, x, z)
  # No latent, no scale: the shift's bias is left.
  np.testing.assert_allclose(y, p["shift"]["bias"] + 0 * y, atol=1e-6)
  other = norm.apply({"params": p}, x, moved)
  changed = np.abs(other - y).max(-1)[0, 0] > 0
  wanted = np.zeros((4, 4), bool)
  wanted[:2, 2:] = True
  np.testing.assert_array_equal(changed, wanted)
