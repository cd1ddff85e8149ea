"""Frames of scenes as they are stored, and grouped by their scene."""

import dataclasses

import builderkit
import numpy as np
import pytest

from jmim.data import decode
from jmim.data import groups
from jmim.data import sources
from jmim.data.builders import views
from jmim.data.procedural import casting

FEW = {"train": 12, "test": 6}
example = views.Views.example


def config(name):
  (found,) = [c for c in views.Views.BUILDER_CONFIGS if c.name == name]
  return dataclasses.replace(found, **FEW)


@pytest.fixture(scope="module")
def built(tmp_path_factory):
  """`solids` with a few frames, written and read back."""
  path = str(tmp_path_factory.mktemp("views"))
  with builderkit.few(views.Views, **FEW):
    yield lambda split: sources.build("views/solids", split, path)


def test_configs_keep_their_places_which_seed_them():
  assert [c.name for c in views.Views.BUILDER_CONFIGS[:2]] == [
    "solids",
    "small",
  ]


@pytest.mark.parametrize("name", ["solids", "small"])
def test_frames_of_a_scene_are_one_scene_and_others_are_not(name):
  made = config(name)
  frames = [example(made, "train", i) for i in range(2 * made.frames)]
  assert [x["scene"] for x in frames] == [0] * made.frames + [1] * made.frames
  assert [x["frame"] for x in frames] == [*range(made.frames)] * 2
  away = [np.linalg.norm(x["view_pose"][:, 3]) for x in frames]
  first, second = away[: made.frames], away[made.frames :]
  assert np.ptp(first) < 1e-6 and np.ptp(second) < 1e-6
  assert abs(first[0] - second[0]) > 1e-6
  pixels = {x["image"].getvalue() for x in frames}
  assert len(pixels) == len(frames)
  again = example(made, "train", 3)
  other = example(made, "test", 3)
  assert again["image"].getvalue() == frames[3]["image"].getvalue()
  assert other["image"].getvalue() != frames[3]["image"].getvalue()


def test_what_is_stored_is_what_was_rendered(built):
  source = built("test")
  assert len(source) == FEW["test"]
  for i in range(len(source)):
    found = source[i]
    number = int(found["scene"]) * 6 + int(found["frame"])
    made = example(config("solids"), "test", number)
    want = decode.decode(made["image"].getvalue(), 3)
    np.testing.assert_array_equal(decode.decode(found["image"], 3), want)
    for name in ("view_pose", "view_focal", "depth"):
      np.testing.assert_array_equal(found[name], made[name])
    assert want.shape == (24, 32, 3)
    assert found["view_focal"] == np.float32(casting.FOCAL)
    # What is not black has a depth, within the rays of the recipe.
    depth = np.asarray(found["depth"])
    assert (want[depth > 0].max(-1) > 0).all()
    assert 0.6 < depth[depth > 0].min() and depth.max() < 2.2


def test_scenes_are_groups_of_six(built):
  grouped = groups.Grouped(built("train"), "scene", 6)
  assert len(grouped) == 2
  for i in range(2):
    assert len(grouped[i].index) == 6
