"""Further pictures of an example, each at its own size."""

import dataclasses
import io

import jax
import numpy as np
import pytest
from PIL import Image

from jmim.core import errors
from jmim.core import method
from jmim.data import augment
from jmim.data import decode
from jmim.data import entries
from jmim.data import inputs
from jmim.data import own_size
from jmim.data import pipeline
from jmim.data import sources

_PICTURES = (("garment", 6, 4), ("poses", 2, 8, 8))
_SPEC = pipeline.Spec(
  batch=4,
  size=8,
  threads=0,
  flip=False,
  pictures=_PICTURES,
  mean=(0.5,) * 3,
  std=(0.5,) * 3,
)
_READS = (("image", None), ("garment", None), ("poses", None))


def pixels(*shape, seed=0):
  return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def png(image):
  file = io.BytesIO()
  Image.fromarray(image).save(file, "png")
  return file.getvalue()


def source(**changes):
  arrays = {
    "image": pixels(5, 8, 8, 3),
    "label": np.arange(5),
    "garment": pixels(5, 6, 4, 3, seed=1),
    "poses": pixels(5, 2, 8, 8, 3, seed=2),
  }
  return sources.ArraySource(arrays | changes)


@pytest.mark.parametrize("training", [True, False])
def test_pixels_arrive_as_stored_and_once(training):
  given = source()
  batch = pipeline.check_example(given, _SPEC, training)
  for name in ("garment", "poses"):
    assert batch[name].dtype == np.uint8
    np.testing.assert_array_equal(batch[name][0], given[0][name])


def test_a_file_and_an_array_are_the_same_and_both_sides_are_resized():
  large = pixels(5, 12, 10, 3, seed=3)
  files = [png(x) for x in large]
  one = pipeline.check_example(source(garment=large), _SPEC, True)
  other = pipeline.check_example(source(garment=files), _SPEC, True)
  np.testing.assert_array_equal(one["garment"], other["garment"])
  want = decode.resize(large[0], 6, 4)
  np.testing.assert_array_equal(one["garment"][0], want)


def test_what_nobody_reads_is_not_decoded():
  spec = dataclasses.replace(_SPEC, reads=(("image", None),))
  batch = pipeline.check_example(source(garment=[b"x"] * 5), spec, True)
  assert "garment" not in batch
  reads = dataclasses.replace(_SPEC, reads=_READS)
  with pytest.raises(errors.UserError, match="array element 0"):
    pipeline.check_example(source(garment=[b"x"] * 5), reads, True)


def test_another_number_of_pictures_is_an_error_that_names_the_key():
  for wrong in (pixels(5, 3, 8, 8, 3), [png(pixels(8, 8, 3))] * 5):
    with pytest.raises(errors.UserError, match="'poses'") as caught:
      pipeline.check_example(source(poses=wrong), _SPEC, True)
    assert caught.value.key == "data.pictures"


def test_on_the_devices_they_are_normalised_and_nothing_else():
  """Whatever is done to the image."""
  spec = dataclasses.replace(_SPEC, flip=True, jitter=(0.4, 0.4, 0.4, 0.1))
  batch = pipeline.check_example(source(), spec, True)
  batch = {k: np.repeat(batch[k], 4, 0) for k in ("image", "garment", "poses")}
  moved = augment.augment_batch(spec, jax.random.key(0), batch)
  plain = augment.prepare_batch(spec, batch)
  for name in ("garment", "poses"):
    want = batch[name] / np.float32(127.5) - 1
    np.testing.assert_allclose(plain[name], want, atol=1e-6)
    np.testing.assert_array_equal(moved[name], plain[name])
  assert not np.array_equal(moved["image"], plain["image"])


def test_a_method_may_read_them():
  read = {
    "image": method.Input((8, 8, 3), range=(-1, 1)),
    "garment": method.Input((6, 4, 3), range=(-1, 1)),
    "poses": method.Input((2, 8, 8, 3)),
  }
  inputs.check_settings(_SPEC, read, "some.method")
  pipeline.check_example(source(), _SPEC, True, read)
  assert inputs.on_devices(_SPEC, read) == {
    "image": ((8, 8, 3), np.uint8),
    "label": ((), np.int32),
    "garment": ((6, 4, 3), np.uint8),
    "poses": ((2, 8, 8, 3), np.uint8),
  }
  assert entries.of("garment", _SPEC).kind == entries.PIXELS
  assert entries.of("garment").kind == entries.NUMBERS


def test_another_size_and_a_mirrored_image_are_errors():
  read = {"image": method.Input((8, 8, 3)), "garment": method.Input((6, 6, 3))}
  with pytest.raises(errors.UserError, match="garment") as caught:
    inputs.check_settings(_SPEC, read, "some.method")
  assert caught.value.key == "data.pictures"
  read["garment"] = method.Input((6, 4, 3))
  flipping = dataclasses.replace(_SPEC, flip=True)
  with pytest.raises(errors.UserError, match="garment") as caught:
    pipeline.check_example(source(), flipping, True, read)
  assert caught.value.key == "data.flip"


def test_low_alone_is_no_pair():
  spec = dataclasses.replace(_SPEC, pictures=(("low", 2, 2),))
  given = {"low": pixels(5, 2, 2, 3), "high": pixels(5, 8, 8, 3)}
  made = own_size.of(source(**given)[1], spec, "it")
  assert made["low"].shape == (2, 2, 3)
  batch = pipeline.check_example(source(**given), spec, True)
  assert "low" in batch and "pair" not in batch


@pytest.mark.parametrize(
  "wrong",
  [
    ("garment", 6, 4),
    (("garment", 6),),
    (("garment", 6, 0),),
    (("garment", 1, 6, 4, 3),),
    (("label", 6, 4),),
    (("image", 6, 4),),
    (("garment", 6, 4), ("garment", 8, 8)),
    ((6, 4, 3),),
  ],
)
def test_settings_that_are_no_pictures(wrong):
  with pytest.raises(errors.UserError) as caught:
    dataclasses.replace(_SPEC, pictures=wrong)
  assert caught.value.key == "data.pictures"
