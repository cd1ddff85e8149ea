import functools

import jax
import numpy as np
import pytest

from jmim.core import randomness
from jmim.data import augment
from jmim.data import pipeline
from jmim.data import sources
from jmim.methods.parts import degraded
from jmim.nn.degrade import presets

PART = degraded.Degraded(degradation="area", factor=2)
LIMITS = (-1.0, 1.0)
pairs = degraded.Degraded(degradation="pairs", factor=1)


@functools.cache
def fixed():
  return jax.jit(lambda batch: PART.fixed(batch, LIMITS))


@pytest.fixture(scope="module")
def images():
  return np.random.default_rng(0).uniform(-1, 1, (3, 8, 8, 3)).astype("f4")


def test_pairs_of_two_sizes_are_pictures_of_the_data_set():
  part = degraded.Degraded(degradation="pairs", factor=2)
  rng = np.random.default_rng(1)
  arrays = {
    name: rng.integers(0, 256, (4, side, side, 3), np.uint8)
    for name, side in (("low", 4), ("high", 8))
  }
  spec = pipeline.Spec(
    size=8,
    threads=0,
    batch=4,
    mean=(0.5,) * 3,
    std=(0.5,) * 3,
    pictures=(("low", 4, 4), ("high", 8, 8)),
  )
  source = sources.ArraySource(arrays, 0)
  read = part.inputs((8, 8, 3), LIMITS)
  pipeline.check_example(source, spec, True, read)
  (batch,) = pipeline.evaluation_batches(source, spec)
  low, high = part.fixed(augment.prepare_batch(spec, batch), LIMITS)
  np.testing.assert_allclose(low, arrays["low"] / 127.5 - 1, atol=1e-5)
  np.testing.assert_allclose(high, arrays["high"] / 127.5 - 1, atol=1e-5)


def test_an_image_is_spoilt_alike_in_every_batch(images):
  batch = {"image": images}
  low, high = map(np.asarray, fixed()(batch))
  assert low.shape == (3, 4, 4, 3) and high is not None
  np.testing.assert_array_equal(high, images)
  order = [2, 0, 1]
  np.testing.assert_array_equal(
    fixed()({"image": images[order]})[0], low[order]
  )
  # Another image has other numbers: what one pixel changes is everywhere.
  other = images.copy()
  other[0, 7, 7] = -other[0, 7, 7]
  again = np.asarray(fixed()({"image": other})[0])
  np.testing.assert_array_equal(again[1:], low[1:])
  assert (again[0] != low[0]).mean() > 0.9


def test_images_are_told_apart_by_their_levels():
  rng = np.random.default_rng(2)
  levels = rng.integers(0, 256, (500, 6, 6, 3))
  levels[1:40] = levels[0]
  for i, level in enumerate(levels[1:40].reshape(39, -1), 1):
    level[i] ^= 1
  found = np.asarray(degraded.number(levels / np.float32(255)))
  assert found.dtype == np.uint32 and len(set(found.tolist())) == 500
  # Rounding of normalised images does not matter.
  near = levels / np.float32(255) + rng.uniform(-1e-4, 1e-4, levels.shape)
  np.testing.assert_array_equal(degraded.number(near.astype("f4")), found)


def test_images_are_in_the_units_of_the_method(images):
  keys = randomness.Keys(jax.random.key(0))
  draws = PART.draw(keys, images.shape)
  shapes = {k: v.shape for k, v in draws["degradation"].items()}
  assert shapes == {"blur": (3,), "sigma": (3,), "noise": images.shape}
  run = jax.jit(PART.pair, static_argnums=2)
  low, high = run({"image": images}, draws, LIMITS)
  same, _ = run({"image": (images + 1) / 2}, draws, (0.0, 1.0))
  np.testing.assert_allclose((low + 1) / 2, same, atol=1e-6)
  want = presets.PRESETS["area"]((images + 1) / 2, draws["degradation"], 2)
  np.testing.assert_allclose(same, want, atol=1e-6)
  np.testing.assert_array_equal(high, images)


def test_pairs_are_read_as_they_are_stored(images):
  batch = {"pair": np.stack([images, -images], 1)}
  for low, high in (
    pairs.pair(batch, {}, LIMITS),
    pairs.fixed(batch, LIMITS),
  ):
    np.testing.assert_array_equal(low, images)
    np.testing.assert_array_equal(high, -images)
  assert pairs.draw(randomness.Keys(jax.random.key(0)), images.shape) == {}
  smaller = degraded.Degraded(degradation="pairs", factor=2)
  batch = {"low": images[:, ::2, ::2], "high": images}
  low, high = smaller.pair(batch, {}, LIMITS)
  assert low is batch["low"] and high is images
  read = {n: x.shape for n, x in smaller.inputs((8, 8, 3), LIMITS).items()}
  assert read == {"low": (4, 4, 3), "high": (8, 8, 3)}
  (pair,) = pairs.inputs((8, 8, 3), LIMITS).values()
  assert pair.shape == (2, 8, 8, 3) and pair.range == LIMITS
  (image,) = PART.inputs((8, 8, 3), LIMITS).values()
  assert image.shape == (8, 8, 3)


@pytest.mark.parametrize(
  "name, factor, what",
  [
    ("bicubic", 3, "factor=3 does not divide"),
    ("pairs", 5, "factor=5 does not divide"),
    ("motion", 2, "keeps the size: set degraded.factor=1"),
    ("bicubic", 1, "set degraded.factor to 2 or more"),
    ("area", 1, None),
    ("real_esrgan", 4, None),
  ],
)
def test_what_does_not_go_together_is_refused(name, factor, what):
  part = degraded.Degraded(degradation=name, factor=factor)
  if what is None:
    part.check((8, 8, 3))
    return
  with pytest.raises(ValueError, match=what):
    part.inputs((8, 8, 3), LIMITS)
