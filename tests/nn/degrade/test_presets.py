"""What presets do with numbers that are given."""

import functools
import io

import cv2
import jax
import numpy as np
import PIL.Image
import pytest

from jmim.core import randomness
from jmim.nn import resize
from jmim.nn.degrade import presets

f4 = functools.partial(np.asarray, dtype=np.float32)


def scene(h=16, w=16):
  """[1, h, w, 3] in 0 .. 1."""
  rng = np.random.default_rng(0)
  small = rng.random((1, 4, 4, 3), np.float32)
  return np.clip(np.asarray(resize.images(small, (h, w), "bicubic")), 0, 1)


def call(name, image, draws, factor=1):
  preset = presets.PRESETS[name]
  run = jax.jit(lambda image, draws: preset(image, draws, factor))
  return np.asarray(run(image, draws))


def filtered(image, sigma, k):
  row = cv2.getGaussianKernel(k, sigma)
  border = cv2.BORDER_REFLECT_101
  return cv2.sepFilter2D(image, -1, row, row, borderType=border)


def test_bicubic_is_rounded_to_levels_of_a_file():
  found = call("bicubic", scene(), {}, 4)
  want = np.asarray(resize.images(scene(), (4, 4), "matlab"))
  np.testing.assert_allclose(found, want, atol=0.51 / 255)
  np.testing.assert_allclose(found * 255, np.round(found * 255), atol=1e-4)


def test_area_is_a_blur_means_and_noise():
  normal = np.random.default_rng(1).normal(size=(1, 16, 16, 3))
  draws = {"blur": f4([0.8]), "sigma": f4([0.05]), "noise": f4(normal)}
  found = call("area", scene(), draws, 4)
  blurred = filtered(scene()[0], 0.8, 7).reshape(4, 4, 4, 4, 3).mean((1, 3))
  want = np.clip(blurred + 0.05 * normal[0, :4, :4], 0, 1)
  np.testing.assert_allclose(found[0], want, atol=1e-5)


def test_motion_is_a_line_a_gain_and_noise():
  normal = np.random.default_rng(2).normal(size=(1, 16, 16, 3))
  draws = {
    "length": np.array([5]),
    "angle": f4([0]),
    "gain": f4([[0.5, 1.0, 1.5]]),
    "sigma": f4([0.02]),
    "noise": f4(normal),
  }
  border = cv2.BORDER_REFLECT_101
  line = cv2.filter2D(
    scene()[0], -1, np.full((1, 5), 0.2, "f4"), borderType=border
  )
  want = np.clip(line * [0.5, 1.0, 1.5], 0, 1) + 0.02 * normal[0]
  found = call("motion", scene(), draws)[0]
  np.testing.assert_allclose(found, np.clip(want, 0, 1), atol=1e-5)
  still = draws | {"length": np.array([1]), "sigma": f4([0])}
  still["gain"] = np.ones((1, 3), "f4")
  np.testing.assert_allclose(call("motion", scene(), still), scene(), atol=1e-5)


def test_low_light_is_dark_and_grainy():
  rng = np.random.default_rng(3)
  zero = np.zeros((1, 16, 16, 3), "f4")
  draws = {
    "light": f4([0.25]),
    "power": f4([1.5]),
    "field": f4(rng.uniform(0.5, 1.5, (1, 3, 3))),
    "peak": f4([1e5]),  # hardly any shot noise
    "shot": zero,
    "sigma": f4([0]),
    "noise": zero,
  }
  found = call("low_light", scene(), draws)[0]
  # OpenCV has no resize whose outermost values stay at the outermost pixels.
  at = np.linspace(0, 2, 16)
  rows = np.stack([np.interp(at, range(3), c) for c in draws["field"][0].T], 1)
  field = np.stack([np.interp(at, range(3), r) for r in rows])
  want = 0.25 * field[..., None] * scene()[0] ** 1.5
  np.testing.assert_allclose(found, want, atol=1e-4)
  draws["peak"], draws["shot"] = f4([30]), zero + 1
  assert call("low_light", scene(), draws).mean() > found.mean() + 0.03


def test_small_faces_shrink_and_grow_back_in_few_levels():
  draws = {
    "blur": f4([1.5]),
    "reduction": np.array([2]),  # by 4
    "sigma": f4([0]),
    "noise": np.zeros((1, 16, 16, 3), "f4"),
  }
  found = call("face_small", scene(), draws)[0]
  blurred = filtered(scene()[0], 1.5, 25)
  channels = []
  for c in range(3):
    picture = PIL.Image.fromarray(np.ascontiguousarray(blurred[..., c]))
    for side in (4, 16):
      picture = picture.resize((side, side), PIL.Image.Resampling.BICUBIC)
    channels.append(np.asarray(picture))
  want = np.clip(np.stack(channels, -1), 0, 1)
  np.testing.assert_allclose(found, want, atol=0.51 / 15)
  np.testing.assert_allclose(found * 15, np.round(found * 15), atol=1e-4)


def test_faces_lose_what_files_lose():
  h = 64
  # Files are read with colours between pixels; ours repeats them.
  plain = scene(h, h)[..., :1].repeat(3, -1)
  draws = {
    "blur": f4([[1.2, 9.0]]),
    "round": np.array([True]),
    "angle": f4([0.5]),
    "reduction": f4([2.5]),
    "sigma": f4([0]),
    "noise": np.zeros((1, 80, 80, 3), "f4"),
    "quality": f4([60]),
    "grey": np.array([False]),
  }
  found = call("face", plain, draws)[0]
  small = cv2.resize(filtered(plain[0], 1.2, 41), (25, 25))
  levels = (small * 255).round().clip(0, 255).astype(np.uint8)
  file = io.BytesIO()
  PIL.Image.fromarray(levels).save(file, "JPEG", quality=60, subsampling=2)
  coded = np.asarray(PIL.Image.open(file)).astype("f4") / 255
  want = cv2.resize(coded, (h, h))
  assert abs(found - want).mean() < 0.006
  assert abs(found - plain[0]).mean() > 2 * abs(found - want).mean()


@pytest.mark.parametrize("name", ["face_light", "face_middle", "face_heavy"])
def test_tiers_grow_worse(name):
  shape = (64, 16, 16, 3)
  keys = randomness.Keys(jax.random.key(0))
  drawn = presets.PRESETS[name].draw(keys, shape)
  tier = presets.PRESETS[name]
  low, high = tier.sigma
  assert low <= drawn["blur"].min() and drawn["blur"].max() <= high
  assert set(np.asarray(drawn["reduction"])) == set(range(len(tier.reductions)))
  assert max(tier.reductions) == {"t": 2, "e": 4, "y": 8}[name[-1]]
