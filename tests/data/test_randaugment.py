"""RandAugment against Pillow."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image
from PIL import ImageEnhance
from PIL import ImageOps

from jmim.data import randaugment


def _images(n=3, h=17, w=21, seed=0):
  rng = np.random.default_rng(seed)
  return rng.integers(0, 256, (n, h, w, 3)).astype("f4")


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


_operations = jax.jit(randaugment.operations)


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
  spec = randaugment.Spec(std=0.0)
  n = 600
  images = np.repeat(_images(1, 8, 8), n, 0)
  run = jax.jit(randaugment.randaugment, static_argnums=2)
  found = np.asarray(run(jax.random.key(0), images, spec))
  same = (found == images).all((1, 2, 3)).mean()
  # Untouched: both coins fall to no (1/4), or what is done does nothing.
  assert 0.25 - 0.06 < same < 0.25 + 0.12
  again = np.asarray(run(jax.random.key(0), images, spec))
  np.testing.assert_array_equal(found, again)
  assert found.min() >= 0 and found.max() <= 255
  np.testing.assert_array_equal(found, np.round(found))
