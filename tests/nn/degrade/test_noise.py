import jax
import numpy as np
import PIL.Image
import scipy.stats

from jmim.nn.degrade import noise


def test_poisson_numbers_invert_their_distribution():
  rng = np.random.default_rng(0)
  normal = rng.standard_normal((9, 4000)).astype("f4")
  rates = [0.0, 0.02, 0.7, 3.0, 11.9, 12.1, 40.0, 120.0, 250.0]
  rate = np.repeat(np.array(rates, "f4")[:, None], 4000, 1)
  found = np.asarray(jax.jit(noise.poisson_count)(rate, normal))
  want = scipy.stats.poisson.ppf(scipy.stats.norm.cdf(normal), rate)
  want = np.maximum(want, 0)
  assert np.abs(found - want).max() <= 1
  assert (found != want)[:5].mean() < 1e-3 and (found != want).mean() < 0.03
  np.testing.assert_allclose(found.mean(1), want.mean(1), rtol=5e-3)


def test_shot_noise_has_the_variance_of_its_peak():
  rng = np.random.default_rng(1)
  image = np.full((2, 60, 60, 3), 0.5, "f4")
  normal = rng.standard_normal(image.shape).astype("f4")
  grey = np.array([False, True])
  made = noise.poisson(
    image, np.array([50.0, 200.0], "f4"), normal, strength=0.5, alike=grey
  )
  np.testing.assert_allclose(made.mean((1, 2, 3)), 0.5, atol=2e-3)
  want = 0.5 * np.sqrt(0.5 / np.array([50, 200]))
  np.testing.assert_allclose(made.std((1, 2, 3)), want, rtol=0.05)
  one = np.asarray(made)
  np.testing.assert_array_equal(one[1, ..., :1], one[1, ..., 1:2])
  assert (one[0, ..., 0] != one[0, ..., 1]).any()


def test_gaussian_noise_may_be_grey():
  normal = np.random.default_rng(2).standard_normal((2, 4, 4, 3)).astype("f4")
  image, sigma = np.zeros((2, 4, 4, 3), "f4"), np.array([0.5, 2.0], "f4")
  made = noise.gaussian(image, sigma, normal, np.array([False, True]))
  np.testing.assert_allclose(made[0], 0.5 * normal[0])
  for channel in range(3):
    np.testing.assert_allclose(made[1, ..., channel], 2 * normal[1, ..., 0])


def test_grey_is_pillows_to_its_rounding():
  image = np.random.default_rng(3).integers(0, 256, (1, 8, 8, 3), np.uint8)
  made = np.asarray(noise.grey(image / np.float32(255))) * 255
  want = np.asarray(PIL.Image.fromarray(image[0]).convert("L"), float)
  assert abs(made[0] - want[..., None]).max() < 0.51
  one = image[..., :1] / np.float32(255)
  np.testing.assert_array_equal(noise.grey(one), one)


def test_gain_clips_and_levels_are_few():
  image = np.linspace(0, 1, 48, dtype="f4").reshape(1, 4, 4, 3)
  factor = np.array([[0.5, 1.0, 3.0]], "f4")
  want = np.clip(image * [0.5, 1, 3], 0, 1)
  np.testing.assert_allclose(noise.gain(image, factor), want, rtol=1e-6)
  few = np.asarray(noise.quantise(image * 3 - 1, 16))
  want = np.round(np.clip(image * 3 - 1, 0, 1) * 15) / 15
  np.testing.assert_allclose(few, want, atol=1e-6)
  assert len(np.unique(few)) <= 16


def test_light_is_uneven_and_bent():
  values = np.arange(9, dtype="f4").reshape(1, 3, 3)
  field = noise.smooth_field(values, (5, 9))
  y, x = np.mgrid[0:2:5j, 0:2:9j]
  np.testing.assert_allclose(field[0], 3 * y + x, atol=1e-5)
  image = np.random.default_rng(4).random((1, 5, 9, 3), np.float32)
  light, power = np.array([0.3], "f4"), np.array([1.7], "f4")
  made = noise.darkened(image, light, power, field)
  want = 0.3 * np.asarray(field)[..., None] * image**1.7
  np.testing.assert_allclose(made, want, rtol=1e-4)
