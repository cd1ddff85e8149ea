import dataclasses

import jax
import numpy as np
import pytest

from jmim.core import errors
from jmim.core import method
from jmim.core import randomness
from jmim.data import augment
from jmim.data import inputs
from jmim.data import pipeline
from jmim.data import sources
from jmim.data import volumes

SHAPE = (3, 4, 4)
SPEC = pipeline.Spec(batch=4, threads=0, flip=False, volume=SHAPE)
READ = {
  "volume": method.Input(SHAPE, range=(0.0, 1.0)),
  "cells": method.Input(SHAPE, np.int32, high=256),
}


def source(n=5, shape=(5, 6, 7), **changes):
  """Volumes whose maps hold the same numbers."""
  rng = np.random.default_rng(0)
  volume = rng.integers(0, 256, (n, *shape), np.uint8)
  return sources.ArraySource(
    {"volume": volume, "cells": volume.astype(np.uint16), "table": volume[:, 0]}
    | changes
  )


def some(spec=SPEC, **changes):
  stream = pipeline.training_batches(source(**changes), spec)
  return [next(stream) for _ in range(4)]


def test_volumes_travel_as_uint8_cut_with_their_maps():
  places = set()
  given = source()
  for batch in some():
    assert (
      batch["volume"].dtype == np.uint8 and batch["cells"].dtype == np.int32
    )
    np.testing.assert_array_equal(batch["volume"], batch["cells"])
    assert batch["table"].shape[1:] == (6, 7)  # no map: as stored
    for cut, index in zip(batch["volume"], batch["index"], strict=True):
      whole = given[int(index)]["volume"]
      found = [
        (z, y, x)
        for z, y, x in np.ndindex(3, 3, 4)
        if np.array_equal(whole[z : z + 3, y : y + 4, x : x + 4], cut)
      ]
      assert len(found) == 1
      places |= set(found)
  assert len(places) > 8


def test_evaluation_sees_the_middle_or_a_larger_part_of_it():
  given = source()
  batch = pipeline.check_example(given, SPEC, training=False)
  whole = given[0]["volume"]
  np.testing.assert_array_equal(batch["volume"][0], whole[1:4, 1:5, 1:5])
  np.testing.assert_array_equal(
    volumes.middle(whole, SHAPE), batch["volume"][0]
  )
  spec = dataclasses.replace(SPEC, eval_volume=(5, 6, 6))
  windows = {n: dataclasses.replace(x, windowed=True) for n, x in READ.items()}
  batch = pipeline.check_example(given, spec, False, windows)
  np.testing.assert_array_equal(batch["cells"][0], whole[:, :, :6])
  with pytest.raises(errors.UserError, match="volume"):
    pipeline.check_example(given, spec, False, READ)
  made = pipeline.check_example(given, spec, True, READ)["volume"]
  assert made.shape == (1, *SHAPE)


def test_they_are_mirrored_and_turned_with_their_maps():
  spec = dataclasses.replace(SPEC, flip=True, turn=True)
  rng = np.random.default_rng(0)
  x = rng.integers(0, 256, (64, *SHAPE)).astype(np.uint8)
  batch = {"volume": x, "cells": x.astype(np.int32), "membrane": x[:, :1]}
  made = jax.jit(lambda b: augment.augment_batch(spec, jax.random.key(0), b))(
    batch
  )
  volume = np.asarray(made["volume"])
  np.testing.assert_array_equal(np.rint(volume * 255), made["cells"])
  np.testing.assert_array_equal(made["membrane"], x[:, :1])  # fits no volume
  ways = set()
  for before, after in zip(x, np.asarray(made["cells"]), strict=True):
    for flips in np.ndindex(2, 2, 2):
      axes = [a for a in range(3) if flips[a]]
      for k in range(4):
        if np.array_equal(np.rot90(np.flip(before, axes), k, (1, 2)), after):
          ways.add((flips, k))
  # Two mirrors in a slice and half a turn are the same: 16 ways to stand.
  assert len(ways) > 24


def test_each_axis_is_mirrored_half_of_the_time_and_nothing_if_not_asked():
  spec = dataclasses.replace(SPEC, flip=True)
  move = volumes.draw(spec, randomness.Keys(jax.random.key(1)), 400)
  assert abs(np.asarray(move.coins).mean(0) - 0.5).max() < 0.1
  assert move.turns is None
  none = volumes.draw(SPEC, randomness.Keys(jax.random.key(1)), 4)
  x = np.arange(4 * 48).reshape(4, *SHAPE)
  np.testing.assert_array_equal(none.apply(x), x)


def test_voxels_are_scaled_by_keys_of_their_own():
  spec = dataclasses.replace(SPEC, volume_mean=0.5, volume_std=0.25)
  x = np.arange(48, dtype=np.uint8).reshape(1, *SHAPE)
  normal = augment.prepare_batch(spec, {"volume": x})["volume"]
  np.testing.assert_allclose(normal, (x / 255 - 0.5) / 0.25, atol=1e-6)
  np.testing.assert_array_equal(augment.denormalise(spec, normal), x)


def test_what_a_method_reads_is_compared():
  inputs.check_settings(SPEC, READ, "some.method")
  pipeline.check_example(source(), SPEC, True, READ)
  assert inputs.on_devices(SPEC, READ) == {
    "label": ((), np.int32),
    "volume": (SHAPE, np.uint8),
    "cells": (SHAPE, np.int32),
  }
  with pytest.raises(errors.UserError, match="data.volume"):
    inputs.check_settings(pipeline.Spec(batch=4), READ, "some.method")
  other = dataclasses.replace(SPEC, volume=(2, 4, 4))
  with pytest.raises(errors.UserError) as caught:
    inputs.check_settings(other, READ, "some.method")
  assert caught.value.key == "data.volume"
  scaled = dataclasses.replace(SPEC, volume_mean=0.5)
  with pytest.raises(errors.UserError, match="volume_std") as caught:
    pipeline.check_example(source(), scaled, True, READ)
  assert caught.value.key == "data.volume_mean"


@pytest.mark.parametrize(
  ("fields", "key"),
  [
    (dict(volume=(3, 4)), "data.volume"),
    (dict(volume=(3, 4, 0)), "data.volume"),
    (dict(volume=(), eval_volume=(3, 4, 4)), "data.eval_volume"),
    (dict(frames=2), "data.frames"),
    (dict(views=2), "data.views"),
    (dict(volume=(3, 4, 5), turn=True), "data.turn"),
  ],
)
def test_settings_that_do_not_go_together_name_a_key(fields, key):
  with pytest.raises(errors.UserError) as caught:
    dataclasses.replace(SPEC, **fields).check_augmentation()
  assert caught.value.key == key


@pytest.mark.parametrize(
  ("changes", "said", "key"),
  [
    (dict(volume=np.zeros((5, 2, 6, 7), np.uint8)), "2, 6, 7", "data.volume"),
    (dict(volume=np.zeros((5, 5, 6, 7))), "float64", "data.name"),
    (dict(volume=np.zeros((5, 6, 7), np.uint8)), r"\(6, 7\)", "data.name"),
  ],
)
def test_volumes_that_cannot_be_cut_are_errors(changes, said, key):
  with pytest.raises(errors.UserError, match=said) as caught:
    pipeline.check_example(source(**changes), SPEC, True)
  assert caught.value.key == key


def test_images_are_no_volumes():
  images = sources.ArraySource({"image": np.zeros((4, 8, 8, 3), np.uint8)})
  with pytest.raises(errors.UserError, match='named "volume"'):
    pipeline.check_example(images, SPEC, True)
