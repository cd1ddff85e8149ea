import builderkit
import numpy as np
import pytest

from jmim.data import pipeline
from jmim.data.builders import membranes


@pytest.fixture(scope="module")
def built(tmp_path_factory):
  """A few examples, written and read back."""
  path = tmp_path_factory.mktemp("membranes")
  with builderkit.built(membranes.Membranes, path, train=4, test=2) as found:
    (config,) = membranes.Membranes.BUILDER_CONFIGS
    yield config, {split: source for (_, split), source in found.items()}


def test_what_is_read_is_what_was_made(built):
  config, read = built
  for split, count in (("train", 4), ("test", 2)):
    assert len(read[split]) == count
    made = [membranes.Membranes.example(config, split, i) for i in range(count)]
    for i in range(count):
      stored = read[split][i]
      (twin,) = [
        m for m in made if np.array_equal(m["volume"], stored["volume"])
      ]
      for name in ("cells", "membrane"):
        np.testing.assert_array_equal(stored[name], twin[name])
        assert stored[name].shape == config.shape


def test_no_two_examples_are_alike(built):
  _, read = built
  every = [source[i]["volume"] for source in read.values() for i in range(2)]
  for i, one in enumerate(every):
    for other in every[:i]:
      assert np.mean(one == other) < 0.1


def test_the_pipeline_cuts_them(built):
  config, read = built
  spec = pipeline.Spec(batch=2, threads=0, volume=(8, 40, 40))
  batch = next(pipeline.training_batches(read["train"], spec))
  assert {batch[k].shape for k in ("volume", "cells", "membrane")} == {
    (2, 8, 40, 40)
  }
