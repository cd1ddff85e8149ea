"""Small pictures of `shapes`: features of TFDS, and examples.

`spots`: one shape on noise. `tiny`: one shape or two, and their caption.
`sets`: several pictures of two shapes. `zoom`: soft forms, and their numbers.
All are functions of a config with a `size` and of a random generator.
"""

from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from jmim.data import encode
from jmim.data.procedural import drawing
from jmim.data.procedural import spots
from jmim.data.procedural import tiny
from jmim.data.procedural import zoom


def _picture(size: int) -> tfds.features.Image:
  return tfds.features.Image(shape=(size, size, 3), encoding_format="png")


def _png(image: np.ndarray) -> Any:
  return encode.png(drawing.levels(image))


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


def set_features(config: Any) -> dict[str, Any]:
  """Of `pictures`."""
  shape = (config.frames, config.size, config.size, 3)
  return {
    "image": _picture(config.size),
    "label": tfds.features.ClassLabel(names=("known", "new")),
    "video": tfds.features.Tensor(shape=shape, dtype=np.uint8),
  }


def pictures(
  config: Any, rng: np.random.Generator, new: bool = False
) -> dict[str, Any]:
  """Several pictures of two shapes, in any order; the image is the first.

  Args:
    config: with `frames`, how many.
    rng: all that is random.
    new: their pairs of colours are those that training lacks; the label.
  """
  every = [tiny.render(*tiny.two(rng, new)) for _ in range(config.frames)]
  video = drawing.levels(np.stack(every))
  return {"image": _png(video[0]), "label": int(new), "video": video}


def zoom_features(config: Any) -> dict[str, Any]:
  """Of `forms`."""
  return {
    "image": _picture(config.size),
    "label": tfds.features.ClassLabel(names=zoom.FORMS),
    "scene": tfds.features.Tensor(shape=zoom.SHAPE, dtype=np.float32),
  }


def forms(config: Any, rng: np.random.Generator) -> dict[str, Any]:
  """One scene to zoom into; the label is the kind of its foremost form."""
  drawn = zoom.draw(rng)
  image = _png(zoom.render(drawn, config.size))
  label, numbers = drawn.forms[-1].kind, zoom.pack(drawn)
  return {"image": image, "label": label, "scene": numbers}
