"""The examples of the clouds among `builders.shapes`."""

import types

import numpy as np

from jmim.data import shape_clouds
from jmim.data.procedural import solids
from jmim.data.procedural import surfaces


def test_examples_have_the_features_and_every_class_comes():
  config = types.SimpleNamespace(size=16)
  rng = np.random.default_rng(0)
  made = {
    shape_clouds.cloud: (shape_clouds.cloud_features, solids.CLASSES),
    shape_clouds.surface: (shape_clouds.surface_features, surfaces.CLASSES),
  }
  for make, (features, classes) in made.items():
    examples = [make(config, rng) for _ in range(100)]
    declared = features(config)
    assert declared.keys() == examples[0].keys()
    for name, feature in declared.items():
      value = np.asarray(examples[0][name])
      assert value.shape == feature.shape
    assert {e["label"] for e in examples} == set(range(len(classes)))
