"""Scenes as they are stored: what each config holds, and in which order."""

import dataclasses

import builderkit
import numpy as np
import pytest

from jmim.data import decode
from jmim.data import entries
from jmim.data import pipeline
from jmim.data import sources
from jmim.data import splits
from jmim.data.builders import scenes
from jmim.data.procedural import described
from jmim.data.procedural import seen

NAMES = ("one", "pairs", "blobs", "episodes", "edits")
FEW = {"train": 16, "test": 8}


@pytest.fixture(scope="module")
def built(tmp_path_factory):
  """All configs with a few examples each, written and read back."""
  path = str(tmp_path_factory.mktemp("scenes"))
  with builderkit.few(scenes.Scenes, **FEW):
    yield lambda name, split: sources.build(f"scenes/{name}", split, path)


def config(name):
  (found,) = [c for c in scenes.Scenes.BUILDER_CONFIGS if c.name == name]
  return dataclasses.replace(found, **FEW)


def test_configs_keep_their_places_which_seed_them():
  names = [c.name for c in scenes.Scenes.BUILDER_CONFIGS]
  assert names[: len(NAMES)] == list(NAMES)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("split", FEW)
def test_what_is_read_is_what_was_made(built, name, split):
  source = built(name, split)
  stored = [source[i] for i in range(len(source))]
  made = [
    scenes.Scenes.example(config(name), split, i) for i in range(len(source))
  ]
  pixels = [decode.decode(x["image"], 3).tobytes() for x in stored]
  assert len(set(pixels)) == FEW[split]
  for example in made:
    image = decode.decode(example["image"].getvalue(), 3)
    twin = stored[pixels.index(image.tobytes())]
    assert twin.keys() == example.keys()
    for feature, value in example.items():
      if feature in ("caption", "target"):
        assert twin[feature].decode() == value
      elif feature != "image":
        np.testing.assert_array_equal(twin[feature], value, feature)


@pytest.mark.parametrize("name", NAMES[:3])
def test_attributes_say_what_the_picture_shows(built, name):
  source = built(name, "train")
  for example in source.__getitems__(range(16)):
    image = decode.decode(example["image"], 3)
    ground = image[example["instance"] == 0]
    assert (ground == example["ground"].round()).all()
    colours = example["objects"][:, 0].astype(int)
    assert colours[0] == example["label"]
    words = example["caption"].decode().split()
    said = [w for w in words if w in described.COLOURS]
    assert said == [described.COLOURS[c] for c in colours]
    tokens = [described.WORDS[i] for i in example["tokens"] if i]
    assert tokens == words
    kinds = np.atleast_1d(example["kind"])
    for i, own in enumerate(example["thing_tokens"]):
      text = " ".join(described.WORDS[k] for k in own if k)
      assert text in example["caption"].decode()
      assert text.endswith(described.KINDS[kinds[i]])
      mine = example["instance"] == i + 1
      rows, columns = np.nonzero(mine)
      _, x, y, width, height = example["objects"][i] * 32
      assert (rows.min(), columns.min()) == (y, x)
      assert (np.ptp(rows) + 1, np.ptp(columns) + 1) == (height, width)
    if name == "one":
      found = seen.one(image[None])
      np.testing.assert_array_equal(found["mask"][0], example["instance"])
      assert found["colour"][0] == example["label"]


def test_an_edit_is_of_the_colour_alone(built):
  source = built("edits", "test")
  for example in source.__getitems__(range(8)):
    own, other = (example[n].decode().split() for n in ("caption", "target"))
    changed = [(a, b) for a, b in zip(own, other, strict=True) if a != b]
    colours = [described.COLOURS[example[n]] for n in ("label", "target_label")]
    assert changed == [tuple(colours)]
    image = decode.decode(example["image"], 3)
    assert seen.one(image[None])["colour"][0] == example["label"]


def test_an_episode_marks_one_thing_of_its_class(built):
  source = built("episodes", "train")
  assert splits.labels_of(source) is None
  for i, example in enumerate(source.__getitems__(range(16))):
    # By class, as many of each.
    assert example["label"] == i // 2
    image = decode.decode(example["image"], 3)
    np.testing.assert_array_equal(image, example["scenes"][0])
    np.testing.assert_array_equal(example["segmentation"], example["masks"][0])
    assert example["masks"].max((1, 2)).tolist() == [1] * scenes.SHOTS
    grounds = {tuple(s[0, 0]) for s in example["scenes"]}
    assert len(grounds) == scenes.SHOTS
    striped = example["label"] % 2
    for scene, mask in zip(example["scenes"], example["masks"], strict=True):
      assert len(np.unique(scene[mask == 1], axis=0)) == 1 + striped


def test_a_part_of_the_episodes_holds_the_classes_that_it_names(built):
  with pytest.MonkeyPatch.context() as patch:
    few = [config(name) for name in NAMES]
    patch.setattr(scenes.Scenes, "BUILDER_CONFIGS", few)
    train = scenes.of_classes("train", (6, 1, 2))
    test = scenes.of_classes("test", (5,))
  assert train == "train[2:4]+train[4:6]+train[12:14]"
  for text, labels in ((train, [1, 1, 2, 2, 6, 6]), (test, [5])):
    source = built("episodes", text)
    assert [source[i]["label"] for i in range(len(source))] == labels


def test_a_method_reads_the_scenes_of_an_episode(built):
  spec = pipeline.Spec(
    batch=2,
    size=32,
    threads=0,
    flip=False,
    pictures=(("scenes", scenes.SHOTS, 32, 32),),
  )
  batch = pipeline.check_example(built("episodes", "test"), spec, True)
  assert batch["scenes"].shape == (1, scenes.SHOTS, 32, 32, 3)
  assert batch["scenes"].dtype == np.uint8
  assert batch["masks"].dtype == np.int32
  assert entries.of("scenes", spec).kind == entries.PIXELS
