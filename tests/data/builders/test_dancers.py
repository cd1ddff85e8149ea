import builderkit
import numpy as np
import pytest

from jmim.data.builders import dancers
from jmim.data.procedural import dancers as drawing

example = dancers.Dancers.example
CONFIGS = {c.name: c for c in dancers.Dancers.BUILDER_CONFIGS}


@pytest.fixture(scope="module")
def built(tmp_path_factory):
  """Both configs with a few examples each, written and read back."""
  path = tmp_path_factory.mktemp("dancers")
  with builderkit.built(dancers.Dancers, path, train=3, test=2) as found:
    yield found


def test_configs_keep_their_places_which_seed_them():
  assert list(CONFIGS)[:2] == ["clips", "long"]


def test_what_is_read_is_what_was_made(built):
  for (name, split), source in built.items():
    assert len(source) == {"train": 3, "test": 2}[split]
    made = [example(CONFIGS[name], split, i) for i in range(len(source))]
    for i in range(len(source)):
      found = source[i]
      (twin,) = [
        m for m in made if np.array_equal(m["frames"], found["frames"])
      ]
      assert found.keys() == twin.keys()
      for feature, value in twin.items():
        np.testing.assert_array_equal(found[feature], value, feature)
      assert len(found["pose"]) == CONFIGS[name].frames
    assert source.num_classes == len(drawing.KINDS)


def test_both_clips_show_one_dancer_in_two_garments():
  for split in ("train", "test"):
    x = example(CONFIGS["clips"], split, 1)
    hidden = x["masks"] > 0
    for clip in ("frames", "swapped"):
      np.testing.assert_array_equal(x[clip][~hidden], x["agnostic"][~hidden])
    assert (x["frames"] != x["swapped"])[hidden].mean() > 0.5
    # Of each garment by itself the colours of its clip.
    for clip, flat in (("frames", "garment"), ("swapped", "other")):
      mean = x[clip][hidden].mean(0) - x[flat].mean((0, 1))
      assert np.abs(mean).max() < 45
    assert (x["agnostic"][hidden] == 128).all()


def test_examples_differ_by_split_config_and_number():
  shown = [
    example(c, split, i)["frames"][0].tobytes()
    for c in CONFIGS.values()
    for split in ("train", "test")
    for i in range(2)
  ]
  assert len(set(shown)) == 8
  again = example(CONFIGS["clips"], "test", 1)["frames"][0].tobytes()
  assert again == shown[3]
