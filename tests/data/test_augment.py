"""What a batch goes through on the device."""

import dataclasses

import jax
import numpy as np
import pytest

from jmim.core import randomness
from jmim.core.settings import data as settings
from jmim.data import augment
from jmim.data import entries
from jmim.data import geometry
from jmim.data import randaugment

H, W = 20, 24
_GREY = settings.Data(mean=(0.5,), std=(0.25,))
_SPEC = settings.Data(mean=(0.5,) * 3, std=(0.25,) * 3)

_train = jax.jit(augment.augment_batch, static_argnums=0)


def _noise(*shape, seed=0):
  return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


@pytest.mark.parametrize(
  ("mean", "std"), [((0.0,), (1.0,)), ((0.485, 0.456, 0.406), (0.2, 0.3, 0.25))]
)
def test_normalise_and_back_gives_the_same_bytes(mean, std):
  spec = settings.Data(mean=mean, std=std)
  images = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1).repeat(3, -1)
  normalised = augment.normalise(spec, images)
  wanted = (images / 255 - np.array(mean)) / np.array(std)
  assert normalised.dtype == np.float32
  np.testing.assert_allclose(normalised, wanted, atol=1e-6)
  back = augment.denormalise(spec, normalised)
  assert back.dtype == np.uint8
  np.testing.assert_array_equal(back, images)


def test_denormalise_rounds_and_clips():
  spec = settings.Data(mean=(0.5,), std=(0.5,))
  levels = np.array([-0.3, -1e-9, 0.4, 99.6, 254.6, 300.0])
  images = np.float32((levels / 255 - 0.5) / 0.5).reshape(1, 1, 6, 1)
  found = augment.denormalise(spec, images).ravel()
  np.testing.assert_array_equal(found, [0, 0, 0, 100, 255, 255])


@pytest.mark.parametrize("crop", ["none", "pad", "resized"])
def test_grey_images_are_treated_as_one_channel_of_colour(crop):
  spec = dataclasses.replace(_GREY, device_crop=crop)
  grey = _noise(4, H, W, 1)
  one, three = (
    _train(spec, jax.random.key(0), {"image": x})["image"]
    for x in (grey, grey.repeat(3, -1))
  )
  assert one.shape == grey.shape
  np.testing.assert_allclose(np.repeat(one, 3, -1), three, atol=1e-6)


@pytest.mark.parametrize("crop", ["none", "pad", "resized"])
def test_training_images_depend_on_the_key_alone(crop):
  spec = dataclasses.replace(_GREY, device_crop=crop)
  batch = {"image": _noise(6, H, W, 1)}
  first, again, other = (
    np.asarray(_train(spec, jax.random.key(seed), batch)["image"])
    for seed in (0, 0, 1)
  )
  np.testing.assert_array_equal(first, again)
  assert (first != other).any()


def test_training_without_flip_and_crop_is_evaluation():
  spec = dataclasses.replace(_GREY, flip=False)
  batch = {"image": _noise(2, H, W, 3), "label": np.arange(2)}
  found, wanted = (
    augment.augment_batch(spec, jax.random.key(0), batch),
    augment.prepare_batch(spec, batch),
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
  spec = dataclasses.replace(_GREY, device_crop="pad", pad=pad)
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
  assert augment.augment_batch(_SPEC, jax.random.key(0), batch) is batch
  assert augment.prepare_batch(_SPEC, batch) is batch


def _images(n=3, h=17, w=21, seed=0):
  rng = np.random.default_rng(seed)
  return rng.integers(0, 256, (n, h, w, 3)).astype("f4")


def test_what_is_erased_is_noise_and_the_rest_is_as_it_was():
  boxes = np.array([[1, 2, 3, 4], [0, 0, 0, 0]], "f4")
  images, noise = np.zeros((2, 8, 9, 3)), np.ones((2, 8, 9, 3))
  found = np.asarray(augment.erase(images, boxes, noise))
  assert found[0, 1:4, 2:6].all() and found[0].sum() == 3 * 3 * 4
  assert not found[1].any()


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
@pytest.mark.parametrize("crop", ["pad", "resized"])
def test_frames_and_pairs_are_mirrored_turned_and_cropped_alike(name, crop):
  spec = dataclasses.replace(_SPEC, device_crop=crop, pad=2, turn=crop == "pad")
  images = np.repeat(_images(12, 8, 8)[:, None], 3, 1).astype("u1")
  found = np.asarray(_train(spec, jax.random.key(1), {name: images})[name])
  assert found.shape == images.shape
  np.testing.assert_array_equal(found[:, 0], found[:, 1])
  np.testing.assert_array_equal(found[:, 0], found[:, 2])
  assert np.isfinite(found).all() and (found[0] != found[1]).any()
  # As the same draws move an image.
  own = randomness.Keys(randomness.Keys(jax.random.key(1))(name))
  move = geometry.draw(spec, own, len(images), images.shape[2:4])
  alone = augment.normalise(spec, move.images(images[:, 0]))
  np.testing.assert_allclose(found[:, 0], alone, atol=1e-5)


def test_clips_are_not_recoloured():
  """What makes an image another one at random leaves frames as they are."""
  spec = dataclasses.replace(
    _SPEC, flip=False, grey_share=1.0, blur_share=1.0, erase_share=1.0
  )
  video = _noise(2, 3, 8, 8, 3)
  found = _train(spec, jax.random.key(0), {"video": video})["video"]
  np.testing.assert_allclose(
    found, augment.normalise(spec, video), rtol=1e-5, atol=1e-5
  )


@pytest.mark.parametrize("crop", ["none", "pad", "resized"])
@pytest.mark.parametrize("name", ["segmentation", "semantic", "depth"])
def test_a_map_is_mirrored_and_cropped_with_its_image(crop, name):
  spec = dataclasses.replace(_GREY, device_crop=crop, crop_scale=(0.6, 1.0))
  blocks = 1 + np.arange(16).reshape(4, 4)
  ids = blocks.repeat(6, 0).repeat(6, 1)[None].repeat(40, 0)
  batch = {
    "image": (10 * ids)[..., None].astype("u1"),
    name: ids.astype("f4" if name == "depth" else "i4"),
  }
  found = _train(spec, jax.random.key(0), batch)
  assert found[name].dtype == batch[name].dtype
  levels = (np.asarray(found["image"])[..., 0] * 0.25 + 0.5) * 255 / 10
  apart = np.abs(levels - np.asarray(found[name]))
  # Pixels at the edges of blocks are mixtures, where an image is resized.
  assert (apart > 0.3).mean() < (0.35 if crop == "resized" else 1e-9)
  left, right = found[name][:, 12, 3], found[name][:, 12, 20]
  turned = np.asarray(left > right)
  assert 4 < turned.sum() < 36
  assert set(np.unique(found[name])) <= {0, *range(1, 17)}


def test_rectangles_of_an_image_are_mirrored_with_it():
  image = np.zeros((40, 4, 8, 1), "u1")
  image[:, :, 0] = 200  # a thing at the left edge
  objects = np.tile([[5, 0.0, 0.0, 0.125, 1.0]], (40, 1, 1)).astype("f4")
  found = _train(_GREY, jax.random.key(0), {"image": image, "objects": objects})
  right = np.asarray(found["image"])[:, 0, -1, 0] > 0
  expected = np.where(right, 0.875, 0.0)
  np.testing.assert_allclose(found["objects"][:, 0, 1], expected, atol=1e-6)
  assert 4 < right.sum() < 36


def test_maps_without_their_image_and_other_numbers_stay():
  ids = _noise(4, 6, 6).astype("i4")
  alone = {"segmentation": ids, "moments": np.ones((4, 2, 2, 8), "f4")}
  assert augment.augment_batch(_GREY, jax.random.key(0), alone) is alone
  batch = {"image": _noise(4, 6, 6, 1), "vectors": np.ones((4, 7, 3), "f4")}
  found = augment.augment_batch(_GREY, jax.random.key(0), batch)
  assert found["vectors"] is batch["vectors"]


def test_what_has_another_aspect_is_no_map_of_the_image():
  """Masks of all frames of a clip, say, under the name of a map."""
  batch = {
    "image": _noise(4, 6, 6, 1),
    "semantic": _noise(4, 2, 6, 6).astype("i4"),
  }
  found = augment.augment_batch(_GREY, jax.random.key(0), batch)
  np.testing.assert_array_equal(found["semantic"], batch["semantic"])


DRAWS = (
  "bernoulli",
  "uniform",
  "normal",
  "randint",
  "permutation",
  "rademacher",
)


@pytest.mark.parametrize("crop", ["pad", "resized"])
def test_no_two_draws_of_an_augmentation_share_their_numbers(monkeypatch, crop):
  """Each array that is drawn has a key that no other one has."""
  taken = []

  def recorded(draw):
    def function(key, *args, **kwargs):
      taken.append(tuple(np.asarray(jax.random.key_data(key)).tolist()))
      return draw(key, *args, **kwargs)

    return function

  for name in DRAWS:
    monkeypatch.setattr(jax.random, name, recorded(getattr(jax.random, name)))
  # What the operations compute of the draws is not looked at here.
  same = lambda images, *rest: [images] * len(randaugment.OPERATIONS)
  monkeypatch.setattr(randaugment, "operations", same)
  spec = dataclasses.replace(
    _SPEC,
    device_crop=crop,
    jitter=(0.4, 0.4, 0.4, 0.1),
    grey_share=0.5,
    blur_share=0.5,
    randaugment=9.0,
    erase_share=0.5,
  )
  names = entries.among(entries.ENTRIES, entries.PIXELS)
  batch = {
    name: _noise(*([2, 2] if entry.several else [4]), 4, 4, 3)
    for name, entry in names.items()
  }
  augment.augment_batch(spec, jax.random.key(0), batch)
  crops = 1 if crop == "pad" else 3
  # Of each entry a crop and a coin; of those that are recoloured also jitter
  # (2 + share), grey, blur (1 + share), RandAugment (2 x 4), erasing (3 + 2).
  recoloured = [e for e in names.values() if e.several != entries.ALIKE]
  expected = len(names) * (crops + 1) + len(recoloured) * (3 + 1 + 2 + 8 + 5)
  assert len(taken) == expected
  assert len(set(taken)) == len(taken)
  root = {
    tuple(k.tolist())
    for k in jax.random.key_data(jax.random.split(jax.random.key(0), 64))
  }
  assert not root & set(taken)


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
