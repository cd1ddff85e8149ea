"""Real-ESRGAN's rounds beside the same at real sizes, one image at a time."""

import cv2
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import randomness
from jmim.nn import resize
from jmim.nn.degrade import jpeg
from jmim.nn.degrade import kernels
from jmim.nn.degrade import resample
from jmim.nn.degrade import second_order

SHAPE = (4, 16, 16, 3)
SMALL = second_order.Round(kernel=9)
PRESET = second_order.RealESRGAN(first=SMALL, second=SMALL, kernel=9)
KINDS = ("area", "bilinear", "bicubic")


@pytest.fixture(scope="module")
def image():
  small = np.random.default_rng(0).random((4, 5, 5, 3), np.float32)
  return np.clip(np.asarray(resize.images(small, (16, 16), "bicubic")), 0, 1)


@pytest.fixture(scope="module")
def draws():
  make = jax.jit(lambda key: PRESET.draw(randomness.Keys(key), SHAPE))
  found = jax.tree.map(np.array, make(jax.random.key(1)))
  found["twice"][:] = [True, True, False, False]
  found["jpeg_last"][:] = [True, False, True, False]
  found["second"]["blurs"][:] = [True, False, True, True]
  for name in ("first", "second"):
    found[name]["gaussian"][:] = True  # Poisson's noise is tested alone
  return found


def filtered(x, kernel):
  return cv2.filter2D(x, -1, kernel, borderType=cv2.BORDER_REFLECT_101)


def resized(x, sides, kind):
  return np.asarray(resize.images(x[None], tuple(sides), KINDS[kind]))[0]


def bent(x, quality):
  """In place of JPEG: it does not commute with a resize, and rounds nothing."""
  return x * (1.6 - 0.7 * x) * (0.9 + quality.reshape(-1, 1, 1, 1) / 1000)


def coded(x, quality):
  return np.asarray(bent(x[None], quality[None]))[0]


def one_round(x, sides, draws, i):
  """A round of one image, at its own size."""
  own = {name: d[i] for name, d in draws.items()}
  kernel = np.asarray(SMALL.blur({n: d[i : i + 1] for n, d in draws.items()}))
  x = resized(filtered(x, kernel[0]), sides, own["resize"])
  h, w = x.shape[:2]
  normal = own["noise"][:h, :w]
  normal = normal[..., :1] if own["grey"] else normal
  return np.clip(x + own["sigma"] * normal, 0, 1)


def at_real_size(x, draws, i):
  sides = 16
  for name, base in (("first", 16), ("second", 8)):
    if name == "second" and not draws["twice"][i]:
      continue
    factor = np.asarray(SMALL.factor(draws[name]))[i]
    sides = max(1, int(np.floor(base * factor + 1e-4)))
    x = one_round(x, (sides, sides), draws[name], i)
    x = coded(x, draws[name]["quality"][i]) if name == "first" else x
  at = lambda name: draws[name][i : i + 1]
  kernel = kernels.cut(kernels.sinc(at("cutoff"), 9), 2 * at("kernel") + 1)

  def shrunk(x):
    x = resized(x, (8, 8), draws["resize"][i])
    x = filtered(x, np.asarray(kernel)[0]) if draws["sinc"][i] else x
    return np.clip(x, 0, 1)

  quality = draws["second"]["quality"][i]
  if draws["jpeg_last"][i]:
    return coded(shrunk(x), quality)
  return shrunk(coded(x, quality))


def test_images_in_corners_are_as_images_of_their_size(
  image, draws, monkeypatch
):
  monkeypatch.setattr(jpeg, "apply", bent)
  found = np.asarray(jax.jit(lambda x, d: PRESET(x, d, 2))(image, draws))
  assert found.shape == (4, 8, 8, 3)
  for i in range(4):
    want = at_real_size(image[i], draws, i)
    assert want.std() > 0.02
    np.testing.assert_allclose(found[i], want, atol=0.51 / 255)


def test_files_are_filled_up_from_images_in_corners(image, draws):
  own = draws["first"] | {"quality": np.full(4, 60, np.float32)}
  sides = np.array([[16, 16], [9, 12], [5, 24], [22, 3]])
  wide = ((0, 0), (0, 8), (0, 8), (0, 0))
  canvas = resample.Canvas(np.pad(image, wide), np.full((4, 2), 16))

  @jax.jit
  def run(canvas, sides, own):
    blurred = SMALL.blurred(canvas, own)
    kinds = (KINDS, own["resize"], (24, 24))
    clean = SMALL.noisy(resample.resized(blurred, sides, *kinds).image, own)
    made = SMALL(canvas, sides, own)
    return second_order._coded(made, own["quality"]), clean

  found, clean = run(canvas, sides, own)
  np.testing.assert_array_equal(found.sides, sides)
  for i, (h, w) in enumerate(sides):
    alone = np.clip(clean[i : i + 1, :h, :w], 0, 1)
    want = jpeg.apply(alone, own["quality"][i : i + 1])[0]
    gap = abs(np.asarray(found.image[i, :h, :w]) - want)
    # A number that is rounded to the other side moves a block.
    assert np.median(gap) < 1e-5 and gap.mean() < 5e-3


def test_the_second_round_s_quality_is_that_of_the_last_file(image, draws):
  run = jax.jit(lambda x, d: PRESET(x, d, 2))
  coarse = jax.tree.map(np.copy, draws)
  coarse["second"]["quality"][:] = 20  # also where there is no second round
  moved = abs(np.asarray(run(image, coarse)) - run(image, draws))
  assert (moved.mean((1, 2, 3)) > 0.01).all()


def test_levels_are_counted():
  x = np.zeros((2, 2, 2, 3), "f4")
  x[1, 0, 0] = [0.2, 0.4, 0.4]
  np.testing.assert_array_equal(second_order.levels_used(x), [1, 3])


def test_poisson_noise_is_of_rounded_levels():
  x = jnp.full((2, 20, 20, 3), 0.5)
  own = {
    "noise": jax.random.normal(jax.random.key(0), x.shape),
    "sigma": jnp.full(2, 0.5),
    "gaussian": jnp.array([True, False]),
    "strength": jnp.full(2, 1.0),
    "grey": jnp.array([False, True]),
  }
  first, second = np.asarray(SMALL.noisy(x, own))
  np.testing.assert_allclose(first, 0.5 + 0.5 * np.asarray(own["noise"][0]))
  # One level is a peak of one photon: nothing but 0, 1, 2 ... is seen.
  counts = second + 128 / 255 - 0.5
  np.testing.assert_allclose(counts, np.round(counts), atol=1e-5)
  assert (counts[..., 0] == counts[..., 2]).all() and counts.max() >= 2


def test_factors_and_kernels_keep_to_their_ranges():
  round_ = second_order.Round()
  keys = randomness.Keys(jax.random.key(2))
  drawn = round_.draw(keys, (300, 1, 1, 3), "first")
  factor = np.asarray(round_.factor(drawn))
  assert 0.15 <= factor.min() < 0.2 and 1.4 < factor.max() <= 1.5
  shares = [(factor > 1).mean(), (factor < 1).mean(), (factor == 1).mean()]
  np.testing.assert_allclose(shares, [0.2, 0.7, 0.1], atol=0.08)
  made = np.asarray(round_.blur(drawn))
  np.testing.assert_allclose(made.sum((1, 2)), 1, atol=1e-5)
  side = 2 * np.asarray(drawn["kernel"]) + 1
  seen = (made != 0).any(1).sum(1)
  assert (seen <= side).all() and set(side) == set(range(7, 22, 2))
  assert np.asarray(drawn["blurs"]).all()
  still = np.asarray(round_.blur(drawn | {"blurs": np.zeros(300, bool)}))
  assert (still[:, 10, 10] == 1).all() and still.sum() == 300
  second = second_order.RealESRGAN().second.draw(keys, (300, 1, 1, 3), "second")
  np.testing.assert_allclose(second["blurs"].mean(), 0.8, atol=0.08)


def test_the_whole_fits_on_its_canvas():
  canvas = resample.whole(jnp.zeros((1, 10, 12, 3)))
  assert PRESET._canvas((1, 10, 12, 3)) == (15, 18)
  assert canvas.sides.tolist() == [[10, 12]]
