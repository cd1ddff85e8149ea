import dataclasses
import hashlib

import builderkit
import numpy as np
import pytest

from jmim.data import decode
from jmim.data.builders import faces

example = faces.Faces.example
CONFIGS = {c.name: c for c in faces.Faces.BUILDER_CONFIGS}
# sha256 of twelve stills, as the builder made them before it had portraits.
STILLS = "3837cb4aaea0e2f469bb43f577d8d4cf5e9f05e690987188d64bf158f38a0828"


@pytest.fixture(scope="module")
def built(tmp_path_factory):
  """Every config with a few examples each, written and read back."""
  path = tmp_path_factory.mktemp("faces")
  with builderkit.built(faces.Faces, path, train=5, test=3) as found:
    yield found


def test_what_is_read_is_what_was_made(built):
  stills = {k: v for k, v in built.items() if k[0].startswith("small")}
  for (name, split), source in stills.items():
    configs = {c.name: c for c in faces.Faces.BUILDER_CONFIGS}
    assert len(source) == {"train": 5, "test": 3}[split]
    made = [example(configs[name], split, i) for i in range(len(source))]
    pixels = [decode.decode(m["image"].getvalue(), 3) for m in made]
    side = 16 if name == "small" else 32
    assert {p.shape for p in pixels} == {(side, side, 3)}
    for i in range(len(source)):
      stored = source[i]
      image = decode.decode(stored["image"], 3)
      (twin,) = [
        m for m, p in zip(made, pixels, strict=True) if np.array_equal(p, image)
      ]
      for feature in ("label", "hair", "mouth"):
        assert stored[feature] == twin[feature]
      assert stored["label"] == 3 * stored["hair"] + stored["mouth"]
    assert source.num_classes == 12


def test_examples_differ_by_split_and_config():
  one, other = faces.Faces.BUILDER_CONFIGS[:2]
  drawn = [
    example(c, split, i)["image"].getvalue()
    for c in (one, dataclasses.replace(other, size=16))
    for split in ("train", "test")
    for i in range(2)
  ]
  assert len(set(drawn)) == 8
  again = example(one, "test", 1)["image"].getvalue()
  assert again == drawn[3]


def config(name):
  """The builder's config of that name, as it is shipped."""
  return CONFIGS[name]


def pixels(made):
  """The image of an example."""
  return decode.decode(made["image"].getvalue(), 3)


def test_stills_are_what_they_were_before_there_were_portraits():
  digest = hashlib.sha256()
  for name in ("small", "small32"):
    for split in ("train", "test"):
      for i in range(3):
        digest.update(pixels(example(config(name), split, i)).tobytes())
  assert digest.hexdigest() == STILLS


def test_portraits_are_read_as_they_were_made(built):
  for name in ("people", "pairs", "strangers", "clips", "frames"):
    source = built[name, "test"]
    key = "signal" if name == "clips" else "pose"
    for i in range(len(source)):
      twin = [example(config(name), "test", k) for k in range(3)]
      (twin,) = [t for t in twin if np.array_equal(t[key], source[i][key])]
      assert set(twin) == set(source[i])
      for feature in set(twin) - {"image"}:
        np.testing.assert_array_equal(source[i][feature], twin[feature])


def test_a_pair_is_of_one_person_and_test_people_are_others():
  for split, known in (("train", range(200)), ("test", range(200, 250))):
    for i in range(6):
      made = example(config("pairs"), split, i)
      assert made["label"] in known
      for name in ("", "source_"):
        want = faces.Faces.person(made["label"]).numbers
        np.testing.assert_array_equal(made[f"{name}identity"], want)
      assert not np.array_equal(made["pose"], made["source_pose"])
      assert not np.array_equal(pixels(made), made["source"])


def test_a_source_becomes_what_a_stranger_does():
  for i in range(6):
    made = example(config("strangers"), "test", i)
    assert made["label"] != made["query_label"]
    who = faces.Faces.person(made["label"]).numbers
    np.testing.assert_array_equal(made["identity"], who)
    image = pixels(made)
    # Each edit alone is neither the source nor all of the query.
    for edit, rendering in zip(made["edits"], made["renderings"], strict=True):
      assert not np.array_equal(edit, image)
      assert not np.array_equal(rendering, made["rendering"])
    # Light alone changes the face alone.
    at = faces.EDITED.index("light")
    outside = made["renderings"][at].sum(-1) == 0
    assert outside.mean() > 0.4
    light = made["edits"][at]
    np.testing.assert_array_equal(light[outside], made["source"][outside])


def test_frames_are_those_of_clips():
  clip = example(config("clips"), "test", 1)
  for at in (0, 17, 39):
    frame = example(config("frames"), "test", faces.LENGTH + at)
    assert (frame["clip"], frame["frame"]) == (1, at)
    np.testing.assert_array_equal(pixels(frame), clip["frames"][at])
    for name in ("landmarks", "mouth"):
      np.testing.assert_array_equal(frame[name], clip[name][at])
  for split, clips in (("train", 200), ("test", 50)):
    count = getattr(config("frames"), split)
    assert count == clips * faces.LENGTH
    assert clips <= getattr(config("clips"), split)
