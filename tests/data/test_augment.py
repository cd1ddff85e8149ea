import dataclasses
import functools

import jax
import numpy as np
import pytest
from PIL import Image

from jmim.data import augment

H, W = 20, 24

# Compiled once and run once: optimising takes longer than it saves.
_jit = functools.partial(
  jax.jit, compiler_options={"xla_backend_optimization_level": 0}
)

_flip = _jit(augment.flip)
_pad_and_crop = _jit(augment.pad_and_crop, static_argnames="pad")
_resize = _jit(augment.crop_and_resize)
_train = _jit(augment.train, static_argnums=0)
_boxes = functools.partial(
  _jit(augment.crop_boxes, static_argnums=(1, 2, 3, 4)), jax.random.key(0)
)


def _noise(*shape, seed=0):
  return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def test_each_image_is_mirrored_or_not_with_equal_probability():
  images = _noise(2000, 2, 3, 1)
  images[..., 0, :] = 255 - images[..., 2, :]  # never its own mirror
  found = np.asarray(_flip(jax.random.key(0), images))
  assert found.dtype == np.uint8
  same = (found == images).all(axis=(1, 2, 3))
  mirrored = (found == images[:, :, ::-1]).all(axis=(1, 2, 3))
  assert (same ^ mirrored).all()
  assert abs(mirrored.mean() - 0.5) < 4 * 0.5 / 2000**0.5


@pytest.mark.parametrize("channels", [1, 3])
def test_padded_crops_are_windows_at_uniform_places(channels):
  n, h, w, pad = 1800, 4, 5, 1
  images = _noise(n, h, w, channels) | 1  # no pixel looks like padding
  found = np.asarray(_pad_and_crop(jax.random.key(0), images, pad=pad))
  padded = np.pad(images, ((0, 0), (pad, pad), (pad, pad), (0, 0)))
  places = np.stack(
    [
      (found == padded[:, y : y + h, x : x + w]).all(axis=(1, 2, 3))
      for y in range(2 * pad + 1)
      for x in range(2 * pad + 1)
    ]
  )
  np.testing.assert_array_equal(places.sum(0), 1)
  expected = n / len(places)
  assert (np.abs(places.sum(1) - expected) < 4 * expected**0.5).all()


def test_no_padding_is_the_identity():
  images = _noise(3, H, W, 3)
  found = _pad_and_crop(jax.random.key(0), images, pad=0)
  np.testing.assert_array_equal(found, images)


_RATIO = (3 / 4, 4 / 3)


@pytest.mark.parametrize("side", [(224, 224), (160, 240)])
@pytest.mark.parametrize("scale", [(0.2, 1.0), (0.08, 0.5)])
def test_boxes_are_inside_with_area_and_aspect_in_range(side, scale):
  y, x, high, wide = np.asarray(_boxes(4000, side, scale, _RATIO)).T
  np.testing.assert_array_equal(
    [y, x, high, wide], np.round([y, x, high, wide])
  )
  assert (y >= 0).all() and (y + high <= side[0]).all()
  assert (x >= 0).all() and (x + wide <= side[1]).all()
  # Sides are rounded to pixels: allow half a pixel each way.
  total = side[0] * side[1]
  assert ((high + 0.5) * (wide + 0.5) >= scale[0] * total).all()
  assert ((high - 0.5) * (wide - 0.5) <= scale[1] * total).all()
  assert ((wide + 0.5) / (high - 0.5) >= _RATIO[0]).all()
  assert ((wide - 0.5) / (high + 0.5) <= _RATIO[1]).all()
  inner = (high < side[0]) & (wide < side[1])
  assert (y[inner] == 0).any() and (y + high == side[0])[inner].any()
  assert (x[inner] == 0).any() and (x + wide == side[1])[inner].any()


def test_area_is_uniform_and_aspect_log_uniform():
  n, side = 4000, (1000, 1000)
  *_, high, wide = np.asarray(_boxes(n, side, (0.1, 0.4), _RATIO)).T
  areas = np.sort(high * wide / 1e6)
  logs = np.sort(np.log(wide / high))
  limit = np.log(_RATIO[1])
  for found, low, top in ((areas, 0.1, 0.4), (logs, -limit, limit)):
    # Kolmogorov-Smirnov at one in a thousand, plus the rounding to pixels.
    distance = np.abs(found - np.linspace(low, top, n)).max() / (top - low)
    assert distance < 1.95 / n**0.5 + 0.005
  assert abs(np.corrcoef(high * wide, np.log(wide / high))[0, 1]) < 0.07


def test_places_are_uniform():
  y, x, high, wide = np.asarray(_boxes(4000, (100, 90), (0.1, 0.3), _RATIO)).T
  for start, room in ((y, 100 - high), (x, 90 - wide)):
    share = (start + 0.5) / (room + 1)
    assert abs(share.mean() - 0.5) < 4 / (12 * 4000) ** 0.5
    assert abs(share.var() - 1 / 12) < 0.006


@pytest.mark.parametrize(
  ("ratio", "box"),
  [
    ((3.0, 4.0), [10, 0, 11, 32]),
    ((0.25, 1 / 3), [0, 10, 32, 11]),
  ],
)
def test_impossible_aspects_fall_back_to_the_largest_central_box(ratio, box):
  found = _boxes(5, (32, 32), (0.9, 1.0), ratio)
  np.testing.assert_array_equal(found, [box] * 5)


def test_fallback_is_the_whole_image_where_its_aspect_is_allowed():
  # Areas above the image never fit.
  found = _boxes(3, (30, 32), (1.5, 2.0), _RATIO)
  np.testing.assert_array_equal(found, [[0, 0, 30, 32]] * 3)


_PLACES = np.array(
  [
    [0, 0, H, W],
    [0, 0, 9, 13],
    [11, 11, 9, 13],
    [3, 5, 14, 8],
    [7, 2, 3, 20],
  ],
  np.float32,
)


def test_the_whole_image_comes_back():
  images = _noise(2, H, W, 3)
  found = _resize(images, np.stack([_PLACES[0]] * 2))
  assert found.dtype == np.float32
  np.testing.assert_allclose(found, images, atol=1e-3)


def test_a_ramp_stays_a_ramp_without_a_shift():
  rows, columns = np.mgrid[:H, :W].astype(np.float32)
  image = (2 + 3 * columns + 5 * rows)[..., None]
  box = _PLACES[3]
  found = _resize(image[None], box[None])[0, ..., 0]
  y = box[0] + (np.arange(H) + 0.5) * box[2] / H - 0.5
  x = box[1] + (np.arange(W) + 0.5) * box[3] / W - 0.5
  wanted = 2 + 3 * x + 5 * y[:, None]
  np.testing.assert_allclose(found, wanted, atol=1e-3)


def _pillow(channel, box):
  y, x, high, wide = box
  return np.asarray(
    Image.fromarray(channel).resize(
      (W, H), Image.Resampling.BICUBIC, box=(x, y, x + wide, y + high)
    )
  )


@pytest.mark.parametrize("channels", [1, 3])
def test_crops_are_those_of_pillow(channels):
  images = _noise(len(_PLACES), H, W, channels)
  found = np.asarray(_resize(images, _PLACES))
  for image, box, result in zip(images, _PLACES, found, strict=True):
    for c in range(channels):
      exact = _pillow(image[..., c].astype(np.float32), box).clip(0, 255)
      np.testing.assert_allclose(result[..., c], exact, atol=2e-2)
      # On bytes Pillow rounds twice and clips in between.
      bytes_ = _pillow(image[..., c], box).astype(np.float32)
      assert np.abs(result[..., c] - bytes_).mean() < 1


@pytest.mark.parametrize(
  ("mean", "std"), [((0.0,), (1.0,)), ((0.485, 0.456, 0.406), (0.2, 0.3, 0.25))]
)
def test_normalise_and_back_gives_the_same_bytes(mean, std):
  spec = augment.Spec(mean=mean, std=std)
  images = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1).repeat(3, -1)
  normalised = augment.normalise(spec, images)
  wanted = (images / 255 - np.array(mean)) / np.array(std)
  assert normalised.dtype == np.float32
  np.testing.assert_allclose(normalised, wanted, atol=1e-6)
  back = augment.denormalise(spec, normalised)
  assert back.dtype == np.uint8
  np.testing.assert_array_equal(back, images)


def test_denormalise_rounds_and_clips():
  spec = augment.Spec(mean=(0.5,), std=(0.5,))
  levels = np.array([-0.3, -1e-9, 0.4, 99.6, 254.6, 300.0])
  images = np.float32((levels / 255 - 0.5) / 0.5).reshape(1, 1, 6, 1)
  found = augment.denormalise(spec, images).ravel()
  np.testing.assert_array_equal(found, [0, 0, 0, 100, 255, 255])


_SPEC = augment.Spec(mean=(0.5,), std=(0.25,))


@pytest.mark.parametrize("crop", ["none", "pad", "resized"])
def test_grey_images_are_treated_as_one_channel_of_colour(crop):
  spec = dataclasses.replace(_SPEC, device_crop=crop)
  grey = _noise(4, H, W, 1)
  one, three = (
    _train(spec, jax.random.key(0), {"image": x})["image"]
    for x in (grey, grey.repeat(3, -1))
  )
  assert one.shape == grey.shape
  np.testing.assert_allclose(np.repeat(one, 3, -1), three, atol=1e-6)


@pytest.mark.parametrize("crop", ["none", "pad", "resized"])
def test_training_images_depend_on_the_key_alone(crop):
  spec = dataclasses.replace(_SPEC, device_crop=crop)
  batch = {"image": _noise(6, H, W, 1)}
  first, again, other = (
    np.asarray(_train(spec, jax.random.key(seed), batch)["image"])
    for seed in (0, 0, 1)
  )
  np.testing.assert_array_equal(first, again)
  assert (first != other).any()


def test_training_without_flip_and_crop_is_evaluation():
  spec = dataclasses.replace(_SPEC, flip=False)
  batch = {"image": _noise(2, H, W, 3), "label": np.arange(2)}
  found, wanted = (
    augment.train(spec, jax.random.key(0), batch),
    augment.evaluate(spec, batch),
  )
  for result in (found, wanted):
    assert set(result) == {"image", "label"}
    np.testing.assert_array_equal(result["label"], batch["label"])
    np.testing.assert_array_equal(
      result["image"], augment.normalise(spec, batch["image"])
    )
  assert batch["image"].dtype == np.uint8


def test_training_flips_crops_and_normalises():
  n, pad = 300, 1
  spec = dataclasses.replace(_SPEC, device_crop="pad", pad=pad)
  image = _noise(4, 5, 1) | 1
  batch = {"image": np.stack([image] * n)}
  found = np.asarray(_train(spec, jax.random.key(0), batch)["image"])
  padded = np.pad(image, ((pad, pad), (pad, pad), (0, 0)))
  windows = [padded[y : y + 4, x : x + 5] for y in range(3) for x in range(3)]
  windows += [window[:, ::-1] for window in windows]
  windows = np.asarray(augment.normalise(spec, np.stack(windows)))
  # Not bit-equal: a compiler may divide by multiplying.
  distance = np.abs(found[:, None] - windows).max(axis=(2, 3, 4))
  equal = distance < 1e-5
  np.testing.assert_array_equal(equal.sum(1), 1)
  assert equal.any(axis=0).all()


def test_batches_without_images_pass_through():
  batch = {"tokens": np.arange(3)}
  assert augment.train(_SPEC, jax.random.key(0), batch) is batch
  assert augment.evaluate(_SPEC, batch) is batch
