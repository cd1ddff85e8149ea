"""What a method reads, against settings and examples."""

import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import errors
from jmim.core import method
from jmim.core.settings import data as settings
from jmim.data import inputs
from jmim.data import pipeline
from jmim.data import sources

_DATA = settings.Data(size=8, mean=(0.5,) * 3, std=(0.5,) * 3, flip=False)
IMAGE = method.Input((8, 8, 3))
LABEL = method.Input((), jnp.int32, 4)


def _with(**fields):
  return dataclasses.replace(_DATA, **fields)


def _batch(**entries):
  rng = np.random.default_rng(0)
  image = rng.integers(0, 256, (1, 8, 8, 3), np.uint8)
  label = np.array([3], np.int32)
  index = np.zeros(1, np.int32)
  return {"image": image, "label": label, "index": index} | entries


def test_what_travels_has_the_type_of_its_way():
  read = {
    "image": IMAGE,
    "tokens": method.Input((5,), jnp.int32, 9),
    "segmentation": method.Input((8, 8), jnp.int32, 4),
  }
  assert inputs.on_devices(_DATA, read) == {
    "image": ((8, 8, 3), np.uint8),
    "label": ((), np.int32),
    "tokens": ((5,), jnp.int32),
    "segmentation": ((8, 8), jnp.int32),
  }
  views = _with(views=2)
  read = {"views": method.Input((2, 8, 8, 3)), "boxes": method.Input((2, 4))}
  assert inputs.on_devices(views, read) == {
    "label": ((), np.int32),
    "views": ((2, 8, 8, 3), np.uint8),
    "boxes": ((2, 4), np.float32),
  }


@pytest.mark.parametrize(
  ("fields", "read", "key", "words"),
  [
    ({}, {"views": method.Input((2, 8, 8, 3))}, "data.views", ["views"]),
    ({}, {"video": method.Input((2, 8, 8, 3))}, "method.type", ["frames"]),
    ({"views": 2}, {"image": IMAGE}, "method.type", ["data.views=0"]),
    ({"size": 9}, {"image": IMAGE}, "data.size", ["(9, 9, 3)", "(8, 8, 3)"]),
    ({"channels": 1}, {"image": IMAGE}, "data.size", ["(8, 8, 1)"]),
    (
      {"views": 2},
      {"segmentation": method.Input((8, 8), jnp.int32, 4)},
      "method.type",
      ["segmentation", "data.views=0"],
    ),
    (
      {},
      {"depth": method.Input((8, 6))},
      "method.type",
      ["depth (8, 6)", "8 x 8"],
    ),
    (
      {"height": 6},
      {"image": IMAGE},
      "data.height",
      ["data.height=6", "(6, 8, 3)", "data.height=0", "squares"],
    ),
    (
      {"height": 6, "group": "label", "members": 2},
      {"image": method.Input((2, 8, 8, 3))},
      "data.height",
      ["(2, 6, 8, 3)", "squares"],
    ),
    (
      {},
      {"image": method.Input((6, 8, 3))},
      "data.height",
      ["(8, 8, 3)", "(6, 8, 3)", "method.height"],
    ),
    (
      {"height": 5},
      {"image": method.Input((6, 8, 3))},
      "data.height",
      ["(5, 8, 3)", "method.height"],
    ),
  ],
)
def test_settings_that_do_not_make_an_input(fields, read, key, words):
  with pytest.raises(errors.UserError) as caught:
    inputs.check_settings(_with(**fields), read, "mim.some")
  assert caught.value.key == key
  for word in ("mim.some", *words):
    assert word in str(caught.value)


def test_tokens_that_are_made_have_the_length_that_is_read():
  spec = _with(tokenizer="bytes", text_length=9)
  tokens = lambda n: {"tokens": method.Input((n,), jnp.int32, 260)}
  inputs.check_settings(spec, tokens(9), "text.some")
  assert inputs.on_devices(spec, tokens(9))["tokens"] == ((9,), np.int32)
  with pytest.raises(errors.UserError, match="tokens .9,") as caught:
    inputs.check_settings(spec, tokens(7), "text.some")
  assert caught.value.key == "data.text_length"
  # Those that are stored are left to the examples.
  inputs.check_settings(_DATA, tokens(7), "text.some")


def test_numbers_are_left_to_the_examples():
  read = {"image": IMAGE, "label": LABEL, "vector": method.Input((512,))}
  inputs.check_settings(_DATA, read, "mim.some")


@pytest.mark.parametrize(
  ("entries", "read", "key", "words"),
  [
    ({}, {"vector": method.Input((3,))}, "data.name", ["'vector'"]),
    (
      {"vector": np.zeros((1, 4), "f4")},
      {"vector": method.Input((3,))},
      "data.name",
      ["(4,)", "(3,)"],
    ),
    (
      {"label": np.array([4], np.int32)},
      {"label": LABEL},
      "method.classes",
      ["'label'", "number 4", "from 0 to 3", "classes 5"],
    ),
    (
      {"tokens": np.array([[0, -1]], np.int32)},
      {"tokens": method.Input((2,), jnp.int32, 4)},
      "data.name",
      ["'tokens'", "number -1", "from 0 to 3"],
    ),
    (
      {"tokens": np.array([[1, 3]], np.int32)},
      {"tokens": method.Input((2,), jnp.int32, 4, holds=(1, 2))},
      "data.text_end",
      ["'tokens' without 2", "data.text_start"],
    ),
    (
      {"tokens": np.array([[1, 2, 0]], np.int32)},
      {"tokens": method.Input((3,), jnp.int32, 4, closes=(2, 3))},
      "data.text_pad",
      ["'tokens' that closes with 0", "(2, 3)"],
    ),
    (
      {"tokens": np.zeros((1, 2), "f4")},
      {"tokens": method.Input((2,), jnp.int32, 4)},
      "data.name",
      ["'tokens'", "whole numbers"],
    ),
    (
      {"heat": np.array([[0.5, 1.5]], "f4")},
      {"heat": method.Input((2,), range=(0.0, 1.0))},
      "data.name",
      ["'heat'", "0.5 to 1.5", "0 to 1"],
    ),
    (
      {"heat": np.array([[0.5, np.nan]], "f4")},
      {"heat": method.Input((2,), range=(0.0, 1.0))},
      "data.name",
      ["'heat'", "nan"],
    ),
    (
      {"image": np.full((1, 8, 8, 3), 255, np.uint8)},
      {"image": method.Input((8, 8, 3), range=(0.0, 0.9))},
      "data.mean",
      ["'image'", "1 to 1"],
    ),
  ],
)
def test_an_example_that_is_not_what_is_read_names_the_entry(
  entries, read, key, words
):
  with pytest.raises(errors.UserError) as caught:
    inputs.check_example(_DATA, _batch(**entries), read)
  assert caught.value.key == key
  for word in words:
    assert word in str(caught.value)


def test_an_example_that_is_read_as_it_is():
  read = {
    "image": method.Input((8, 8, 3), range=(-1.0, 1.0)),  # once normalised
    "label": LABEL,
    "vector": method.Input((2,), range=(-1.0, 1.0)),
  }
  batch = _batch(vector=np.array([[-1.0, 1.0]], "f4"))
  inputs.check_example(_DATA, batch, read)
  assert batch["image"].dtype == np.uint8


@pytest.mark.parametrize(
  ("fields", "names", "key"),
  [
    ({"flip": True}, ("image", "moments"), "data.flip"),
    ({"turn": True}, ("image", "moments"), "data.turn"),
    ({"device_crop": "pad"}, ("segmentation", "moments"), "data.device_crop"),
    ({"device_crop": "resized"}, ("objects",), "data.device_crop"),
    ({"flip": True}, ("image", "objects", "segmentation"), None),
    ({"flip": True}, ("moments", "label"), None),
    ({}, ("image", "moments", "objects"), None),
  ],
)
def test_what_cannot_be_moved_with_its_image_is_refused(fields, names, key):
  batch = _batch(
    moments=np.zeros((1, 2, 2, 8), "f4"),
    segmentation=np.zeros((1, 8, 8), np.int32),
    objects=np.zeros((1, 2, 5), "f4"),
  )
  read = {
    n: method.Input(batch[n].shape[1:], batch[n].dtype)
    if n != "image"
    else IMAGE
    for n in names
  }
  if key is None:
    inputs.check_example(_with(**fields), batch, read)
    return
  with pytest.raises(errors.UserError) as caught:
    inputs.check_example(_with(**fields), batch, read)
  assert caught.value.key == key
  del batch["image"]  # latents and maps alone are stored as they fit
  rest = {n: x for n, x in read.items() if n != "image"}
  inputs.check_example(_with(**fields), batch, rest)


def test_a_map_beside_a_picture_of_its_own_size_stays_as_it_is_stored():
  """It would be cut as the image, were that read (recipe diffste_glyphs)."""
  spec = _with(pictures=(("picture", 4, 6),))
  wide = {"mask": method.Input((4, 6), jnp.int32, 2)}
  beside = wide | {"picture": method.Input((4, 6, 3))}
  inputs.check_settings(spec, beside, "m")
  with pytest.raises(errors.UserError, match="images of 8 x 8"):
    inputs.check_settings(spec, wide | {"image": IMAGE}, "m")
  other = {"mask": method.Input((4, 7), jnp.int32, 2)}
  with pytest.raises(errors.UserError, match="images of 8 x 8"):
    inputs.check_settings(spec, beside | other, "m")


def test_the_pipeline_checks_the_first_example():
  source = sources.ArraySource({"vector": [[0.5, 2.0], [0.1, 0.2]]})
  spec = pipeline.Spec(batch=2, size=8, threads=0)
  read = {"vector": method.Input((2,), range=(0.0, 1.0))}
  with pytest.raises(errors.UserError, match="'vector' with values"):
    pipeline.check_example(source, spec, training=True, inputs=read)
  assert pipeline.check_example(source, spec, training=True)["index"] == [0]


@pytest.mark.parametrize(
  ("name", "stored", "key", "words"),
  [
    # Only the last example shows it.
    ("label", [0, 1, 4], "method.classes", ["number 4", "classes 5"]),
    ("label", [1, 2, 4], "method.classes", ["subtract 1"]),
    ("label", [[0], [1], [4]], "method.classes", ["number 4"]),
    ("label", np.eye(5)[[0, 1, 2]], "method.classes", ["5 classes", "4 in"]),
    ("label", [0.0, 1.0, 0.5], "data.name", ["fractional", "0.5"]),
    ("label", [0, 1, np.nan], "data.name", ["NaN"]),
    ("label", [[1, 0], [0, 1], [1, 1]], "data.name", ["2 numbers per label"]),
    ("label", ["cat", "dog", "cat"], "data.name", ["not numbers"]),
    ("label", [0, 1, -1], "data.name", ["number -1"]),
    ("label", [0, 1, -100], "data.name", ["labels from -100 to 1"]),
    ("tokens", [[0, 1], [2, 3], [3, 4]], "data.name", ["number 4"]),
    ("tokens", [[0, 1], [2, 3], [3, -1]], "data.name", ["number -1"]),
  ],
)
def test_all_numbers_in_memory_are_looked_at(name, stored, key, words):
  source = sources.ArraySource({name: stored})
  shape = () if name == "label" else (2,)
  read = {name: method.Input(shape, jnp.int32, 4)}
  with pytest.raises(errors.UserError) as caught:
    inputs.check_stored(source, read)
  assert caught.value.key == key
  for word in words:
    assert word in str(caught.value)
  inputs.check_stored(source, {"image": IMAGE})  # nobody reads them


def test_evaluation_may_have_examples_without_a_label():
  source = sources.ArraySource({"label": [0, -1, 3]})
  inputs.check_stored(source, {"label": LABEL}, unlabelled=True)
  with pytest.raises(errors.UserError):
    inputs.check_stored(source, {"label": method.Input((), jnp.int32, 3)}, True)
