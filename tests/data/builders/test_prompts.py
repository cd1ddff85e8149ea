import numpy as np

from jmim.data import sources
from jmim.data.builders import prompts as builder
from jmim.data.procedural import prompts

example = builder.Prompts.example

(VOC,) = builder.Prompts.BUILDER_CONFIGS


def test_examples_are_of_their_class_and_come_by_class():
  n = VOC.test
  labels = [example(VOC, "test", i)["label"] for i in (0, n - 1, n)]
  assert labels == [0, 0, 1]
  first = example(VOC, "train", 2 * VOC.train)
  assert first["label"] == 2 and first["caption"] in prompts.of("bird")
  assert example(VOC, "train", 2 * VOC.train) == first


def test_many_of_a_class_are_said():
  start = 2 * VOC.train
  said = {example(VOC, "train", start + i)["caption"] for i in range(300)}
  assert len(said) > 80


def test_the_data_set_is_read_by_class(tmp_path, monkeypatch):
  monkeypatch.setattr(VOC, "train", 3)
  monkeypatch.setattr(VOC, "test", 2)
  source = sources.build("prompts/voc", "train[6:9]", str(tmp_path))
  labels = [int(source[i]["label"]) for i in range(len(source))]
  np.testing.assert_array_equal(labels, [2, 2, 2])
  assert source.num_classes == 20
