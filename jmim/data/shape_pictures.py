"""Small pictures of `shapes`: features of TFDS, and examples.

`spots`: one shape on noise. `tiny`: one shape or two, and their caption. Both
are functions of a config with a `size` and of a random generator.
"""

from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from jmim.data import encode
from jmim.data.procedural import spots
from jmim.data.procedural import tiny


def _picture(size: int) -> tfds.features.Image:
  return tfds.features.Image(shape=(size, size, 3), encoding_format="png")


def _png(image: np.ndarray) -> Any:
  return encode.png(image.round().clip(0, 255).astype(np.uint8))


def spot_features(config: Any) -> dict[str, Any]:
  """Of `spot`."""
  return {
    "image": _picture(config.size),
    "label": tfds.features.ClassLabel(names=spots.KINDS),
  }


def spot(config: Any, rng: np.random.Generator) -> dict[str, Any]:
  """One image of one small shape; the label is its kind."""
  label = int(rng.integers(len(spots.KINDS)))
  return {"image": _png(spots.spot(config.size, label, rng)), "label": label}


def told_features(config: Any) -> dict[str, Any]:
  """Of `told`."""
  return {
    "image": _picture(config.size),
    "label": tfds.features.ClassLabel(names=tiny.COLOURS),
    "kind": tfds.features.ClassLabel(names=tiny.KINDS),
    "count": np.int64,
    "caption": tfds.features.Text(),
    "tokens": tfds.features.Tensor(shape=(tiny.LENGTH,), dtype=np.int32),
  }


def told(config: Any, rng: np.random.Generator) -> dict[str, Any]:
  """One shape or two; the label is the colour of the first."""
  del config  # their lengths are in pixels of one size
  shapes, ground = tiny.draw(rng)
  text = tiny.caption(shapes)
  return {
    "image": _png(tiny.render(shapes, ground)),
    "label": shapes[0].colour,
    "kind": shapes[0].kind,
    "count": len(shapes),
    "caption": text,
    "tokens": tiny.tokens(text),
  }
