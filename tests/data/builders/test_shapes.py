import dataclasses

import builderkit
import numpy as np
import pytest

from jmim.data import decode
from jmim.data import shape_clips
from jmim.data import shape_clouds
from jmim.data import shape_pictures
from jmim.data import sources
from jmim.data.builders import shapes
from jmim.data.procedural import attributes
from jmim.data.procedural import zoom


def config(name, **changes):
  (found,) = [c for c in shapes.Shapes.BUILDER_CONFIGS if c.name == name]
  return dataclasses.replace(found, **changes)


@pytest.fixture(scope="module")
def built(tmp_path_factory):
  """All configs with a few examples each, written and read back."""
  path = str(tmp_path_factory.mktemp("shapes"))
  with builderkit.few(shapes.Shapes, train=6, test=3):
    yield lambda name, split: sources.build(f"shapes/{name}", split, path)


def rng(name="small", split="train", i=0):
  return shapes.example_rng(name, split, i)


def is_made(name, made, stored):
  """Whether two examples are the same, by what is never equal by chance."""
  if name in ("spots", "attributes", "tiny"):  # only the image
    pixels = decode.decode(made["image"].getvalue(), 3)
    return np.array_equal(pixels, decode.decode(stored["image"], 3))
  key = {"directions": "video", "preferences": "video", "zoom": "scene"}
  key |= dict.fromkeys(("points", "solids"), "points")
  key = key.get(name, "instance")
  return np.array_equal(made[key], stored[key])


MADE_BY = {
  "small": shapes.scene,
  "moving": shapes.clip,
  "directions": shape_clips.glide,
  "preferences": shape_clips.pair,
  "points": shape_clouds.cloud,
  "spots": shape_pictures.spot,
  "attributes": shapes.look,
  "zoom": shape_pictures.forms,
  "tiny": shape_pictures.told,
  "solids": shape_clouds.surface,
}


@pytest.mark.parametrize("name", MADE_BY)
def test_what_is_read_is_what_was_made(built, name):
  for split, count in (("train", 6), ("test", 3)):
    source = built(name, split)
    assert len(source) == count
    made = [
      MADE_BY[name](config(name), rng(name, split, i)) for i in range(count)
    ]
    for i in range(count):
      stored = source[i]
      (twin,) = [m for m in made if is_made(name, m, stored)]
      for feature, value in stored.items():
        if feature == "image":
          want = decode.decode(twin["image"].getvalue(), 3)
          np.testing.assert_array_equal(decode.decode(value, 3), want)
        elif feature == "caption":
          assert value.decode() == twin["caption"]
        else:
          np.testing.assert_array_equal(value, twin[feature], feature)


def test_every_second_test_set_has_colours_that_training_lacks(built):
  """Five different pictures each, the first of which is the image."""
  made = lambda split, i, new: shape_pictures.pictures(
    config("sets"), rng("sets", split, i), new
  )
  for split, news in (("train", [0] * 6), ("test", [0, 1, 0])):
    source = built("sets", split)
    stored = source.__getitems__(range(len(news)))
    assert sorted(s["label"] for s in stored) == sorted(news)
    every = [made(split, i, bool(new)) for i, new in enumerate(news)]
    for s in stored:
      video = s["video"]
      assert any(np.array_equal(video, e["video"]) for e in every)
      image = decode.decode(s["image"], 3)
      np.testing.assert_array_equal(image, video[0])
      assert len(np.unique(video, axis=0)) == 5


def test_older_configs_have_the_data_that_they_had():
  """Their place in the list seeds them: new ones come after."""
  names = [c.name for c in shapes.Shapes.BUILDER_CONFIGS]
  assert names[:10] == [
    "small",
    "medium",
    "large",
    "moving",
    "points",
    "directions",
    "spots",
    "attributes",
    "attributes32",
    "zoom",
  ]


def test_pictures_can_be_rendered_again_from_what_is_stored(built):
  pixels = lambda x: x.round().clip(0, 255).astype(np.uint8)
  for name, size in (("attributes", 16), ("attributes32", 32)):
    for stored in built(name, "train").__getitems__(range(6)):
      again = attributes.render(attributes.of(stored), size)
      image = decode.decode(stored["image"], 3)
      np.testing.assert_array_equal(pixels(again), image)
  for stored in built("zoom", "test").__getitems__(range(3)):
    scene = zoom.unpack(stored["scene"])
    image = decode.decode(stored["image"], 3)
    np.testing.assert_array_equal(pixels(zoom.render(scene, 64)), image)
    assert stored["label"] == scene.forms[-1].kind


def test_class_can_be_learned_from_pixels_only_in_part():
  """The nearest thing's kind: neither given away nor hopeless."""
  labels = [
    shapes.scene(config("small"), rng(i=i))["label"] for i in range(200)
  ]
  counts = np.bincount(labels, minlength=5)
  assert counts.min() > 20 and counts.max() < 65


def test_spots_are_of_each_kind_as_often():
  labels = [
    shape_pictures.spot(config("spots"), rng("spots", i=i)) for i in range(400)
  ]
  counts = np.bincount([x["label"] for x in labels], minlength=4)
  assert counts.min() > 75 and counts.max() < 125
