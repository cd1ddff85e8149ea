"""The clouds of `builders.shapes`: their features, and one example."""

from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from jmim.data.procedural import solids
from jmim.data.procedural import surfaces


def cloud_features(config: Any) -> dict:
  """Of things with parts; `config.size` is the number of points."""
  n = config.size
  return {
    "points": tfds.features.Tensor(shape=(n, 3), dtype=np.float32),
    "part": tfds.features.Tensor(shape=(n,), dtype=np.int32),
    "label": tfds.features.ClassLabel(names=solids.CLASSES),
  }


def cloud(config: Any, rng: np.random.Generator) -> dict:
  """One thing made of solids."""
  label = int(rng.integers(len(solids.CLASSES)))
  points, part = solids.cloud(label, config.size, rng)
  return {"points": points, "part": part, "label": label}


def surface_features(config: Any) -> dict:
  """Of single surfaces; `config.size` is the number of points."""
  return {
    "points": tfds.features.Tensor(shape=(config.size, 3), dtype=np.float32),
    "label": tfds.features.ClassLabel(names=surfaces.CLASSES),
  }


def surface(config: Any, rng: np.random.Generator) -> dict:
  """One surface; the label is its kind."""
  label = int(rng.integers(len(surfaces.CLASSES)))
  return {"points": surfaces.cloud(label, config.size, rng), "label": label}
