"""Clips of the builder `shapes` in which one thing moves: one, or a pair."""

from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from jmim.data import encode
from jmim.data.procedural import drawing
from jmim.data.procedural import gliding
from jmim.data.procedural import scenes


def glide_features(config: Any) -> dict[str, Any]:
  """Of `glide` and `pair`."""
  grid, t = (config.size, config.size), config.frames
  tensor = tfds.features.Tensor
  return {
    "image": tfds.features.Image(shape=(*grid, 3), encoding_format="png"),
    "label": tfds.features.ClassLabel(names=scenes.DIRECTIONS),
    "video": tensor(shape=(t, *grid, 3), dtype=np.uint8),
  }


def glide(config: Any, rng: np.random.Generator) -> dict[str, Any]:
  """One clip of one thing; the label is where it goes."""
  label = int(rng.integers(len(scenes.DIRECTIONS)))
  video = drawing.levels(gliding.glide(config.size, config.frames, label, rng))
  return {"image": encode.png(video[0]), "label": label, "video": video}


def pair(config: Any, rng: np.random.Generator) -> dict[str, Any]:
  """Two clips of one thing that goes the same way, the first one faster."""
  label = int(rng.integers(len(scenes.DIRECTIONS)))
  low, high = gliding.PACES
  third = (high - low) / 3
  slow, fast = rng.uniform(low, low + third), rng.uniform(high - third, high)
  each, paces = config.frames // 2, (fast, slow)
  clips = gliding.glides(config.size, each, label, paces=paces, rng=rng)
  video = drawing.levels(np.concatenate(clips))
  return {"image": encode.png(video[0]), "label": label, "video": video}
