import types

import numpy as np
import pytest
import tensorflow_datasets as tfds

from jmim.data import numbered


class Numbers(numbered.Builder, skip_registration=True):
  """Each example is one draw."""

  SEED = 5
  VERSION = tfds.core.Version("1.0.0")
  BUILDER_CONFIGS = [
    types.SimpleNamespace(name="a", train=4, test=2),
    types.SimpleNamespace(name="b", train=3, test=0),
  ]

  @classmethod
  def example(cls, config, split, i):
    return {"value": cls.rng(config, split, i).random()}


A, B = Numbers.BUILDER_CONFIGS


def test_no_two_examples_are_drawn_alike():
  places = [(A, "train", 0), (A, "train", 1), (A, "test", 0), (B, "train", 0)]
  values = [Numbers.example(*place)["value"] for place in places]
  assert len(set(values)) == 4
  assert Numbers.example(*places[2])["value"] == values[2]
  rng = np.random.default_rng([5, 0, 1, 0])  # what is on disk was drawn so
  assert values[2] == rng.random()


def test_a_set_has_as_many_as_its_config_says():
  builder = types.SimpleNamespace(
    builder_config=A, count=Numbers.count, example=Numbers.example
  )
  made = list(Numbers._generate_examples(builder, "train"))
  assert [i for i, _ in made] == [0, 1, 2, 3]
  assert made[2][1] == Numbers.example(A, "train", 2)
  assert Numbers.count(B, "test") == 0


def test_a_builder_says_how_an_example_is_made():
  class Nothing(numbered.Builder, skip_registration=True):
    VERSION = tfds.core.Version("1.0.0")

  with pytest.raises(TypeError, match="example"):
    Nothing(data_dir="x")
