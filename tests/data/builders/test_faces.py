import dataclasses

import numpy as np
import pytest

from jmim.data import decode
from jmim.data import sources
from jmim.data.builders import faces

example = faces.Faces.example


@pytest.fixture(scope="module")
def built(tmp_path_factory):
  """Both configs with a few examples each, written and read back."""
  path = str(tmp_path_factory.mktemp("faces"))
  full = faces.Faces.BUILDER_CONFIGS
  few = [dataclasses.replace(c, train=5, test=3) for c in full]
  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(faces.Faces, "BUILDER_CONFIGS", few)
    patch.setattr(faces.Faces, "builder_configs", {c.name: c for c in few})
    yield {
      (c.name, split): sources.build(f"faces/{c.name}", split, path)
      for c in few
      for split in ("train", "test")
    }


def test_what_is_read_is_what_was_made(built):
  for (name, split), source in built.items():
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
  one, other = faces.Faces.BUILDER_CONFIGS
  drawn = [
    example(c, split, i)["image"].getvalue()
    for c in (one, dataclasses.replace(other, size=16))
    for split in ("train", "test")
    for i in range(2)
  ]
  assert len(set(drawn)) == 8
  again = example(one, "test", 1)["image"].getvalue()
  assert again == drawn[3]
