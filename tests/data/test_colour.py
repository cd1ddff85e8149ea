"""Colour, RandAugment and erasing against Pillow, colorsys and numpy."""

import colorsys
import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image
from PIL import ImageEnhance
from PIL import ImageOps
from scipy import ndimage

from jmim.data import augment
from jmim.data import colour
from jmim.data import randaugment

# Compiled once and run once: optimising takes longer than it saves.
_jit = functools.partial(
  jax.jit, compiler_options={"xla_backend_optimization_level": 0}
)


def _images(n=3, h=17, w=21, seed=0):
  rng = np.random.default_rng(seed)
  return rng.integers(0, 256, (n, h, w, 3)).astype("f4")


_FACTORS = np.array([0.3, 1.0, 1.7], "f4")


@pytest.mark.parametrize(
  ("function", "enhance", "limit"),
  [
    (colour.brightness, ImageEnhance.Brightness, 1.01),
    (colour.saturation, ImageEnhance.Color, 1.6),
    (colour.contrast, ImageEnhance.Contrast, 1.6),
    (randaugment.sharpness, ImageEnhance.Sharpness, 1.6),
    (randaugment._contrast, ImageEnhance.Contrast, 1.01),
  ],
)
def test_changes_are_those_of_pillow(function, enhance, limit):
  images = _images()
  found = np.asarray(_jit(function)(images, _FACTORS))
  for image, factor, result in zip(images, _FACTORS, found, strict=True):
    exact = enhance(Image.fromarray(image.astype("u1"))).enhance(float(factor))
    # Pillow rounds to whole levels in between.
    assert np.abs(result - np.asarray(exact)).max() < limit


def test_hue_is_that_of_colorsys():
  images, shifts = _images(h=4, w=5), np.array([0.0, 0.3, -0.45], "f4")
  images[:, 0] = images[:, 0, :, :1]  # grey has no hue
  found = np.asarray(_jit(colour.hue)(images, shifts))
  for image, shift, result in zip(images, shifts, found, strict=True):
    for pixel, out in zip(
      image.reshape(-1, 3), result.reshape(-1, 3), strict=True
    ):
      h, s, v = colorsys.rgb_to_hsv(*(pixel.astype(float) / 255))
      exact = 255 * np.array(colorsys.hsv_to_rgb((h + shift) % 1, s, v))
      np.testing.assert_allclose(out, exact, atol=0.02)


def test_jitter_applies_the_changes_in_the_order_given():
  images = _images()
  factors = np.array([[0.6, 1.3, 0.4, 0.1]] * 3, "f4")
  order = np.array([[0, 1, 2, 3], [3, 2, 1, 0], [2, 0, 3, 1]])
  found = np.asarray(_jit(colour.jittered)(images, factors, order))
  changes = [colour.brightness, colour.contrast, colour.saturation, colour.hue]
  for i in range(3):
    exact = images[i : i + 1]
    for k in order[i]:
      exact = changes[k](exact, factors[:1, k])
    np.testing.assert_allclose(found[i], np.asarray(exact)[0], atol=0.05)


def test_blur_is_that_of_scipy():
  images, sigma = _images(), np.array([0.3, 1.0, 1.4], "f4")
  found = np.asarray(_jit(colour.blur, static_argnums=2)(images, sigma, 4))
  for image, s, result in zip(images, sigma, found, strict=True):
    exact = ndimage.gaussian_filter(
      image, (s, s, 0), mode="mirror", radius=(4, 4, 0)
    )
    np.testing.assert_allclose(result, exact, atol=0.02)


_FILL = (124.0, 116.0, 104.0)


def _pillow_operations(level, sign):
  """timm's increasing operations, on Pillow images, bilinear."""
  share = level / 10
  factor = max(0.1, 1 + 0.9 * sign * share)
  fill = tuple(map(int, _FILL))

  def affine(*matrix):
    return lambda p: p.transform(
      p.size,
      Image.Transform.AFFINE,
      matrix,
      resample=Image.Resampling.BILINEAR,
      fillcolor=fill,
    )

  def solarize_add(p):
    x = np.asarray(p).astype(int)
    add = min(128, int(110 * share))
    return np.where(x < 128, np.minimum(255, x + add), x)

  def posterize(p):
    bits = 4 - int(4 * share)
    return np.asarray(p) & (0xFF ^ (2 ** (8 - bits) - 1))

  moved = 0.45 * sign * share
  return {
    "autocontrast": ImageOps.autocontrast,
    "equalize": ImageOps.equalize,
    "invert": ImageOps.invert,
    "rotate": lambda p: p.rotate(
      30 * sign * share, resample=Image.Resampling.BILINEAR, fillcolor=fill
    ),
    "posterize": posterize,
    "solarize": lambda p: ImageOps.solarize(
      p, 256 - min(256, int(256 * share))
    ),
    "solarize_add": solarize_add,
    "color": lambda p: ImageEnhance.Color(p).enhance(factor),
    "contrast": lambda p: ImageEnhance.Contrast(p).enhance(factor),
    "brightness": lambda p: ImageEnhance.Brightness(p).enhance(factor),
    "sharpness": lambda p: ImageEnhance.Sharpness(p).enhance(factor),
    "shear_x": affine(1, 0.3 * sign * share, 0, 0, 1, 0),
    "shear_y": affine(1, 0, 0, 0.3 * sign * share, 1, 0),
    "translate_x": lambda p: affine(1, 0, moved * p.width, 0, 1, 0)(p),
    "translate_y": lambda p: affine(1, 0, 0, 0, 1, moved * p.height)(p),
  }


_operations = _jit(randaugment.operations)


@pytest.mark.parametrize(("level", "sign"), [(9.0, 1.0), (4.4, -1.0)])
def test_randaugment_operations_are_those_of_pillow(level, sign):
  images = _images(2, 32, 40)
  images[1] = images[1] // 3 + 60  # something to stretch
  made = _operations(
    images, np.full(2, level, "f4"), np.full(2, sign, "f4"), jnp.array(_FILL)
  )
  exact = _pillow_operations(level, sign)
  assert tuple(exact) == randaugment.OPERATIONS
  for name, found in zip(randaugment.OPERATIONS, made, strict=True):
    for image, result in zip(images, np.asarray(found), strict=True):
      wanted = np.asarray(exact[name](Image.fromarray(image.astype("u1"))))
      apart = np.abs(result - wanted.astype("f4"))
      # Pillow's places are fixed-point numbers: a rim pixel may differ.
      assert (apart > 2).mean() < 0.02, name
      assert np.median(apart) <= 1, name


def test_randaugment_draws_half_of_two_operations():
  spec = randaugment.Spec(deviation=0.0)
  n = 600
  images = np.repeat(_images(1, 8, 8), n, 0)
  run = _jit(randaugment.randaugment, static_argnums=2)
  found = np.asarray(run(jax.random.key(0), images, spec))
  same = (found == images).all((1, 2, 3)).mean()
  # Untouched: both coins fall to no (1/4), or what is done does nothing.
  assert 0.25 - 0.06 < same < 0.25 + 0.12
  again = np.asarray(run(jax.random.key(0), images, spec))
  np.testing.assert_array_equal(found, again)
  assert found.min() >= 0 and found.max() <= 255
  np.testing.assert_array_equal(found, np.round(found))


def test_erased_boxes_hold_noise_and_the_rest_is_as_it_was():
  n, h, w = 800, 32, 24
  boxes = np.asarray(augment.erase_boxes(jax.random.key(0), n, (h, w)))
  y, x, high, wide = boxes.T
  assert (y + high <= h).all() and (x + wide <= w).all()
  assert (high < h).all() and (wide < w).all() and (high * wide > 0).all()
  share = high * wide / (h * w)
  assert 0.01 < share.min() and share.max() < 0.37
  assert abs(share.mean() - (0.02 + 1 / 3) / 2) < 0.02
  images, noise = np.zeros((n, h, w, 3)), np.ones((n, h, w, 3))
  found = np.asarray(augment.erase(images, boxes, noise))
  np.testing.assert_array_equal(found.sum((1, 2, 3)), 3 * high * wide)
  top, left = int(y[0]), int(x[0])
  assert found[0, top : top + int(high[0]), left : left + int(wide[0])].all()


_SPEC = augment.Spec(mean=(0.5,) * 3, std=(0.25,) * 3)
_train = _jit(augment.train, static_argnums=0)


def test_views_are_mirrored_one_by_one_with_their_boxes():
  images = _images(40, 6, 6).reshape(20, 2, 6, 6, 3).astype("u1")
  boxes = np.random.default_rng(0).random((20, 2, 4)).astype("f4")
  batch = {"views": images, "boxes": boxes}
  found = _train(_SPEC, jax.random.key(0), batch)
  plain = np.asarray(augment.normalise(_SPEC, images))
  turned = np.asarray(found["boxes"])[..., 3] < 0
  for mirror, where in ((True, turned), (False, ~turned)):
    expected = plain[:, :, :, ::-1] if mirror else plain
    np.testing.assert_allclose(
      np.asarray(found["views"])[where], expected[where], atol=1e-5
    )
  top, left, high, wide = np.moveaxis(boxes[turned], -1, 0)
  np.testing.assert_allclose(
    np.asarray(found["boxes"])[turned],
    np.stack([top, left + wide, high, -wide], -1),
  )
  np.testing.assert_array_equal(
    np.asarray(found["boxes"])[~turned], boxes[~turned]
  )
  both = turned.sum(1)
  assert {0, 1, 2} == set(both.tolist())


@pytest.mark.parametrize("name", ["video", "pair"])
def test_frames_and_pairs_are_mirrored_and_cropped_alike(name):
  spec = dataclasses.replace(_SPEC, device_crop="pad", pad=2)
  images = np.repeat(_images(12, 8, 8)[:, None], 3, 1).astype("u1")
  found = np.asarray(_train(spec, jax.random.key(1), {name: images})[name])
  np.testing.assert_array_equal(found[:, 0], found[:, 1])
  np.testing.assert_array_equal(found[:, 0], found[:, 2])
  alone = _train(spec, jax.random.key(1), {"image": images[:, 0]})["image"]
  np.testing.assert_allclose(found[:, 0], alone, atol=1e-5)


@pytest.mark.parametrize(
  "fields",
  [
    {"jitter": (0.4, 0.4, 0.4, 0.1)},
    {"grey_share": 0.5},
    {"blur_share": 0.5},
    {"randaugment": 9.0},
    {"erase_share": 0.5},
  ],
)
def test_each_option_changes_some_images_only_and_keeps_their_scale(fields):
  spec = dataclasses.replace(_SPEC, flip=False, jitter_share=0.5, **fields)
  images = _images(64, 24, 24).astype("u1")
  found = np.asarray(
    _train(spec, jax.random.key(0), {"image": images})["image"]
  )
  plain = np.asarray(augment.normalise(spec, images))
  same = (np.abs(found - plain) < 1e-4).all((1, 2, 3))
  assert 8 < same.sum() < 56
  assert np.isfinite(found).all()
  if "erase_share" not in fields:
    assert found.min() >= -2.001 and found.max() <= 2.001
