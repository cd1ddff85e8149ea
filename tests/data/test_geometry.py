"""Crops and mirrors against Pillow and numpy; their draws."""

import functools

import jax
import numpy as np
import pytest
from PIL import Image

from jmim.core import randomness
from jmim.core.settings import data as settings
from jmim.data import geometry

_flipped = jax.jit(geometry.flipped)
_crop_padded = jax.jit(geometry.crop_padded, static_argnums=2)
_resize = jax.jit(geometry.crop_and_resize)
_maps = jax.jit(geometry.crop_maps, static_argnums=2)
_boxes = functools.partial(
  jax.jit(geometry.crop_boxes, static_argnums=(1, 2, 3, 4)), jax.random.key(0)
)
H, W = 20, 24


def _noise(*shape, seed=0):
  return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def _windows(images, pad):
  """[places, b, h, w, c]: the images padded and cut at every place."""
  h, w = images.shape[1:3]
  padded = np.pad(images, ((0, 0), (pad, pad), (pad, pad), (0, 0)))
  return np.stack(
    [
      padded[:, y : y + h, x : x + w]
      for y in range(2 * pad + 1)
      for x in range(2 * pad + 1)
    ]
  )


def test_each_image_is_mirrored_or_not_with_equal_probability():
  images = _noise(2000, 2, 3, 1)
  images[..., 0, :] = 255 - images[..., 2, :]  # never its own mirror
  coin = geometry.flip_coin(jax.random.key(0), len(images))
  found = np.asarray(_flipped(images, coin))
  assert found.dtype == np.uint8
  same = (found == images).all(axis=(1, 2, 3))
  mirrored = (found == images[:, :, ::-1]).all(axis=(1, 2, 3))
  assert (same ^ mirrored).all()
  np.testing.assert_array_equal(mirrored, coin)
  assert abs(mirrored.mean() - 0.5) < 4 * 0.5 / 2000**0.5


@pytest.mark.parametrize("channels", [1, 3])
def test_padded_crops_are_windows_at_uniform_places(channels):
  n, h, w, pad = 1800, 4, 5, 1
  images = _noise(n, h, w, channels) | 1  # no pixel looks like padding
  boxes = geometry.padded_boxes(jax.random.key(0), n, (h, w), pad)
  found = np.asarray(_crop_padded(images, boxes, pad))
  places = (found == _windows(images, pad)).all(axis=(2, 3, 4))
  np.testing.assert_array_equal(places.sum(0), 1)
  expected = n / len(places)
  assert (np.abs(places.sum(1) - expected) < 4 * expected**0.5).all()
  index = (np.asarray(boxes)[:, :2] + pad) @ [2 * pad + 1, 1]
  np.testing.assert_array_equal(places.argmax(0), index)


def test_no_padding_is_the_identity():
  images = _noise(3, H, W, 3)
  boxes = geometry.padded_boxes(jax.random.key(0), 3, (H, W), 0)
  np.testing.assert_array_equal(_crop_padded(images, boxes, 0), images)


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


def test_erased_boxes_are_smaller_than_the_image_with_uniform_areas():
  n, h, w = 800, 32, 24
  boxes = np.asarray(geometry.erase_boxes(jax.random.key(0), n, (h, w)))
  y, x, high, wide = boxes.T
  assert (y >= 0).all() and (y + high <= h).all()
  assert (x >= 0).all() and (x + wide <= w).all()
  assert (high < h).all() and (wide < w).all() and (high * wide > 0).all()
  share = high * wide / (h * w)
  assert 0.01 < share.min() and share.max() < 0.37
  assert abs(share.mean() - (0.02 + 1 / 3) / 2) < 0.02


def test_maps_show_the_values_below_the_centres_of_the_pixels():
  """Against the value that each place of an image of that size has."""
  ids = np.arange(H * W).reshape(1, H, W).repeat(len(_PLACES), 0)
  found = np.asarray(_maps(ids, _PLACES, (H, W)))
  for box, result in zip(_PLACES, found, strict=True):
    rows = box[0] + (np.arange(H) + 0.5) * box[2] / H
    columns = box[1] + (np.arange(W) + 0.5) * box[3] / W
    expected = ids[0][np.ix_(rows.astype(int), columns.astype(int))]
    np.testing.assert_array_equal(result, expected)


def test_a_map_of_another_resolution_shows_the_same_place():
  coarse = np.arange(5 * 6).reshape(1, 5, 6)
  box = np.array([[4, 8, 8, 12]], np.float32)  # of an image of 20 x 24
  found = np.asarray(_maps(coarse, box, (H, W)))[0]
  rows = ((4 + (np.arange(5) + 0.5) * 8 / 5) / 4).astype(int)
  columns = ((8 + (np.arange(6) + 0.5) * 12 / 6) / 4).astype(int)
  np.testing.assert_array_equal(found, coarse[0][np.ix_(rows, columns)])


def test_maps_are_padded_with_zeros_as_images_are():
  ids = 1 + np.arange(8 * 8).reshape(1, 8, 8)
  box = np.array([[-2, 3, 8, 8]], np.float32)
  found = np.asarray(_maps(ids, box, (8, 8)))[0]
  expected = np.pad(ids[0], 3)[1:9, 6:14]
  np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("crop", ["none", "pad", "resized"])
@pytest.mark.parametrize("trailing", [(), (2,)])
def test_a_move_takes_images_and_maps_to_the_same_places(crop, trailing):
  """Where an image is constant in blocks, its map is those constants."""
  spec = settings.Data(device_crop=crop, pad=3, crop_scale=(0.9, 1.0))
  blocks = 1 + np.arange(16).reshape(4, 4)
  ids = blocks.repeat(8, 0).repeat(8, 1)[None].repeat(50, 0)
  maps = np.broadcast_to(
    ids.reshape(50, 32, 32, *[1] * len(trailing)), (50, 32, 32, *trailing)
  )
  keys = randomness.Keys(jax.random.key(3))
  move = geometry.draw(spec, keys, 50, (32, 32))
  images = np.asarray(move.images((ids * 10)[..., None].astype("u1")))[..., 0]
  found = np.asarray(move.maps(maps)).reshape(50, 32, 32, -1)[..., 0]
  # Pixels near an edge of a block are mixtures of two, where it is resized.
  wrong = np.abs(images / 10 - found) > 0.3
  assert wrong.mean() < (0.2 if crop == "resized" else 1e-9)
  mirrored = np.asarray(move.coin)
  left, right = found[:, 16, 8], found[:, 16, 24]
  np.testing.assert_array_equal(left > right, mirrored)
  assert 5 < mirrored.sum() < 45


def test_rectangles_are_mirrored_with_their_image():
  coin = np.array([True, False])
  move = geometry.Move(side=(8, 8), coin=coin)
  rows = np.array([[[7, 0.1, 0.2, 0.3, 0.4]], [[7, 0.1, 0.2, 0.3, 0.4]]])
  found = np.asarray(move.rectangles(jax.numpy.asarray(rows), 1))
  np.testing.assert_allclose(found[0], [[7, 0.6, 0.2, 0.3, 0.4]], rtol=1e-6)
  np.testing.assert_allclose(found[1], rows[1], rtol=1e-6)
  shown = np.asarray(move.rectangles(jax.numpy.asarray(rows[:, 0, 1:]), 0))
  np.testing.assert_allclose(shown[0], [0.6, 0.2, 0.3, 0.4], rtol=1e-6)


def test_images_and_maps_are_turned_by_quarters_as_by_numpy():
  spec = settings.Data(flip=False, turn=True)
  keys = randomness.Keys(jax.random.key(4))
  move = geometry.draw(spec, keys, 80, (5, 5))
  turns = np.asarray(move.turns)
  assert np.bincount(turns, minlength=4).min() > 8 and turns.max() == 3
  images = _noise(80, 5, 5, 3)
  for moved, stored in (
    (move.images(images), images),
    (move.maps(images[..., 0]), images[..., 0]),
  ):
    for found, x, k in zip(np.asarray(moved), stored, turns, strict=True):
      np.testing.assert_array_equal(found, np.rot90(x, k))
  both = move.repeat(2)
  np.testing.assert_array_equal(both.turns, turns.repeat(2))


@pytest.mark.parametrize("mirrored", [False, True])
def test_rectangles_are_turned_with_their_image(mirrored):
  images = np.zeros((4, 10, 10), np.uint8)
  images[:, 2:5, 1:7] = 1
  rows = np.tile([7, 0.1, 0.2, 0.6, 0.3], (4, 1)).astype("f4")
  coin = np.full(4, mirrored)
  move = geometry.Move(side=(10, 10), coin=coin, turns=np.arange(4))
  found = np.asarray(move.rectangles(jax.numpy.asarray(rows), 1))
  for image, row in zip(np.asarray(move.maps(images)), found, strict=True):
    y, x = np.nonzero(image)
    sides = np.ptp(x) + 1, np.ptp(y) + 1
    want = np.array([x.min(), y.min(), *sides]) / 10
    np.testing.assert_allclose(row, [7, *want], atol=1e-6)


def test_without_flip_and_crop_nothing_moves():
  spec = settings.Data(flip=False)
  keys = randomness.Keys(jax.random.key(0))
  move = geometry.draw(spec, keys, 2, (H, W))
  images = _noise(2, H, W, 3)
  assert move.images(images) is images and move.maps(images) is images
  boxes = np.ones((2, 1, 4))
  assert move.view_boxes(boxes) is boxes
  assert move.rectangles(boxes, 0) is boxes
