import builderkit
import numpy as np
import pytest

from jmim.data import decode
from jmim.data.builders import regions
from jmim.data.procedural import regions as drawn

example = regions.Regions.example


@pytest.fixture(scope="module")
def built(tmp_path_factory):
  """Both configs with a few examples each, written and read back."""
  path = tmp_path_factory.mktemp("regions")
  with builderkit.built(regions.Regions, path, train=5, test=3) as found:
    yield found


def test_what_is_read_is_what_was_made(built):
  configs = {c.name: c for c in regions.Regions.BUILDER_CONFIGS}
  for (name, split), source in built.items():
    assert len(source) == {"train": 5, "test": 3}[split]
    config = configs[name]
    made = [example(config, split, i) for i in range(len(source))]
    for i in range(len(source)):
      stored = source[i]
      ids = stored["instance"]
      assert ids.shape == (config.size,) * 2 and ids.min() >= 1
      (twin,) = [m for m in made if np.array_equal(m["instance"], ids)]
      image = decode.decode(stored["image"], 3)
      want = decode.decode(twin["image"].getvalue(), 3)
      np.testing.assert_array_equal(image, want)
      assert stored["count"] == twin["count"] >= ids.max()
      assert stored["label"] == twin["label"]


def test_the_class_is_the_texture_of_the_largest_region():
  config = regions.Regions.BUILDER_CONFIGS[0]
  labels = []
  for i in range(60):
    rng = np.random.default_rng([3, 0, 0, i])
    scene = drawn.draw(24, rng)
    _, ids = drawn.render(scene, 24, rng)
    sizes = [(ids == k).sum() for k in range(1, len(scene.paints) + 1)]
    labels.append(scene.paints[int(np.argmax(sizes))].texture)
  found = [example(config, "train", i)["label"] for i in range(60)]
  assert found == labels and set(labels) == {0, 1, 2, 3}
