"""Procedural faces: stills, pairs of one person, and clips that speak.

`small` (16 px) and `small32`: see `jmim.data.procedural.faces`. `label` is one
of twelve, four colours of hair by three mouths; `hair` and `mouth` are both
alone.

The others, of 32 px, are portraits (`jmim.data.procedural.portraits`) with all
their factors: `identity` [14], `expression` [3], `pose` [4], `light` [2]
(`numbers` of each), and `segmentation`, in `portrait_drawing.REGIONS`.

`people`: stills; `label` is who it is, of 200, in both splits. `pairs`: a
`source`, and `image`, another picture of the same person (the query); its
`rendering` is the bald face. `strangers`: the `query` is somebody else
(`query_label`), and `image` is what the source is to become: the source's
identity with all else of the query; `edits` and `renderings` take one factor
alone from the query: pose, expression, light. `label`, `rendering` and the
factors are those of `image`; `source_segmentation`, `source_pose` and so on
those of the source. In the test split the people are others, 200 to 249.

`clips`: 40 `frames` of one person who speaks (`jmim.data.procedural.talking`),
`signal` [40, 2], `mouth` [40, 2] (open, width), `sound` [3, 80, 16],
`landmarks` [40, 68, 2]. `frames`: those of the first 200 (test: 50) of these
clips one by one, as `image` with `landmarks` [68, 2], `mouth`, and the number
of its `clip` and `frame`.

Every example is a function of (config, split, number).
"""

import dataclasses

import numpy as np
import tensorflow_datasets as tfds

from jmim.data import encode
from jmim.data import numbered
from jmim.data.procedural import drawing
from jmim.data.procedural import faces
from jmim.data.procedural import portrait_drawing
from jmim.data.procedural import portraits
from jmim.data.procedural import talking

PEOPLE, STRANGERS = 200, 50  # of the train split, and others for the test split
LENGTH = 40  # frames of a clip
EDITED = ("pose", "expression", "light")  # what a query may be asked for
_PERSON = 1000  # in the place of a config, in what a person is drawn with


@dataclasses.dataclass(eq=False, kw_only=True)
class FacesConfig(numbered.Config):
  """What an example is.

  Attributes:
    kind: one of _OF_KIND.
    size: side [pixels].
  """

  kind: str = "still"
  size: int = 16


def _config(name: str, description: str, kind: str, **counts: int):
  return FacesConfig(
    name=name, description=description, kind=kind, size=32, **counts
  )


class Faces(numbered.Builder):
  """The builder; see the module for the features of each config."""

  SEED = 2
  VERSION = tfds.core.Version("1.0.0")
  BUILDER_CONFIGS = [
    FacesConfig(name="small", description="faces of 16 x 16"),
    FacesConfig(name="small32", description="faces of 32 x 32", size=32),
    _config("people", "stills of 200 people", "person"),
    _config("pairs", "two pictures of one person", "pair"),
    _config("strangers", "two people", "stranger", train=500, test=500),
    _config("clips", "somebody speaks", "clip", train=400, test=100),
    _config("frames", "frames of clips", "frame"),  # of 200, and of 50
  ]

  def _info(self) -> tfds.core.DatasetInfo:
    config = self.builder_config
    features = _OF_KIND[config.kind][0](config.size)
    return tfds.core.DatasetInfo(
      builder=self,
      description=__doc__,
      features=tfds.features.FeaturesDict(features),
      supervised_keys=("image", "label") if "label" in features else None,
    )

  @classmethod
  def example(cls, config: FacesConfig, split: str, i: int) -> dict:
    """Example `i` of a split, as it is stored."""
    return _OF_KIND[config.kind][1](cls, config, split, i)

  @classmethod
  def person(cls, k: int) -> portraits.Identity:
    """Who has the number k."""
    return portraits.draw_identity(
      np.random.default_rng([cls.SEED, _PERSON, k])
    )

  @classmethod
  def clip(cls, split: str, i: int) -> talking.Clip:
    """Clip `i` of a split of `clips`; `frames` has its frames."""
    rng = cls.rng(cls.builder_configs["clips"], split, i)
    return talking.draw(rng, LENGTH)


def _image(size):
  return tfds.features.Image(shape=(size, size, 3), encoding_format="png")


def _floats(*shape):
  return tfds.features.Tensor(shape=shape, dtype=np.float32)


def _bytes(*shape):
  return tfds.features.Tensor(shape=shape, dtype=np.uint8)


def _still_features(size):
  known = {"label": faces.CLASSES, "hair": faces.HAIR, "mouth": faces.MOUTHS}
  label = tfds.features.ClassLabel
  named = {n: label(names=list(classes)) for n, classes in known.items()}
  return {"image": _image(size), **named}


def _still(cls, config, split, i):
  face = faces.draw(cls.rng(config, split, i))
  image = drawing.levels(faces.render(face, config.size))
  hair, mouth = divmod(face.label, len(faces.MOUTHS))
  picture = {"image": encode.png(image)}
  return {**picture, "label": face.label, "hair": hair, "mouth": mouth}


_FACTORS = {"identity": 14, "expression": 3, "pose": 4, "light": 2}


def _factors(portrait, prefix=""):
  return {prefix + n: getattr(portrait, n).numbers for n in _FACTORS}


def _shown_features(size):
  return {
    "image": _image(size),
    "segmentation": _bytes(size, size),
    **{name: _floats(n) for name, n in _FACTORS.items()},
  }


def _person_features(size):
  label = tfds.features.ClassLabel(num_classes=PEOPLE)
  return {**_shown_features(size), "label": label}


def _person(cls, config, split, i):
  rng = cls.rng(config, split, i)
  k = int(rng.integers(PEOPLE))
  portrait = portraits.draw(rng, cls.person(k))
  return _shown(portrait, config.size) | {"label": k}


def _shown(portrait, size):
  """Picture, regions and factors of a portrait."""
  image, regions = portrait_drawing.parsed(portrait, size)
  picture = {"image": encode.png(image), "segmentation": regions}
  return picture | _factors(portrait)


def _pair_features(size):
  number = tfds.features.ClassLabel(num_classes=PEOPLE + STRANGERS)
  return {
    **_shown_features(size),
    "label": number,
    "source": _bytes(size, size, 3),
    "rendering": _bytes(size, size, 3),
    "source_segmentation": _bytes(size, size),
    **{f"source_{name}": _floats(n) for name, n in _FACTORS.items()},
  }


def _pair(cls, config, split, i):
  rng, (first, count) = cls.rng(config, split, i), _people(split)
  k = first + int(rng.integers(count))
  source, query = (portraits.draw(rng, cls.person(k)) for _ in range(2))
  return _edited(source, query, config.size) | {"label": k}


def _people(split):
  """(the first, how many)."""
  return (0, PEOPLE) if split == "train" else (PEOPLE, STRANGERS)


def _edited(source, query, size):
  """What the source becomes with all but the identity of the query."""
  image = source.taking(query, EDITED)
  picture, regions = portrait_drawing.parsed(source, size)
  return {
    **_shown(image, size),
    "source": picture,
    "rendering": portrait_drawing.bald(image, size),
    "source_segmentation": regions,
    **_factors(source, "source_"),
  }


def _stranger_features(size):
  found, several = _pair_features(size), _bytes(len(EDITED), size, size, 3)
  more = {"query_label": found["label"], "query": found["source"]}
  return {**found, **more, "edits": several, "renderings": several}


def _stranger(cls, config, split, i):
  rng, (first, count) = cls.rng(config, split, i), _people(split)
  k = int(rng.integers(count))
  other = int((k + rng.integers(1, count)) % count)
  both = (cls.person(first + n) for n in (k, other))
  source, query = (portraits.draw(rng, who) for who in both)
  edits, size = [source.taking(query, (name,)) for name in EDITED], config.size
  draw = portrait_drawing
  return {
    **_edited(source, query, size),
    "label": first + k,
    "query_label": first + other,
    "query": draw.render(query, size),
    "edits": np.stack([draw.render(e, size) for e in edits]),
    "renderings": np.stack([draw.bald(e, size) for e in edits]),
  }


def _clip_features(size):
  return {
    "frames": _bytes(LENGTH, size, size, 3),
    "signal": _floats(LENGTH, 2),
    "mouth": _floats(LENGTH, 2),
    "sound": _floats(talking.LAYERS, 2 * LENGTH, talking.WIDTH),
    "landmarks": _floats(LENGTH, 68, 2),
    "identity": _floats(_FACTORS["identity"]),
    "clip": np.int32,
  }


def _mouth(portrait):
  return np.float32([portrait.expression.open, portrait.expression.width])


def _clip(cls, config, split, i):
  clip, size = cls.clip(split, i), config.size
  draw = portrait_drawing
  return {
    "frames": np.stack([draw.render(p, size) for p in clip.frames]),
    "signal": clip.signal,
    "mouth": np.stack([_mouth(p) for p in clip.frames]),
    "sound": clip.sound,
    "landmarks": np.stack([draw.landmarks(p, size) for p in clip.frames]),
    "identity": clip.frames[0].identity.numbers,
    "clip": i,
  }


def _frame_features(size):
  return {
    **_shown_features(size),
    "landmarks": _floats(68, 2),
    "mouth": _floats(2),
    "clip": np.int32,
    "frame": np.int32,
  }


def _frame(cls, config, split, i):
  clip, at = divmod(i, LENGTH)
  portrait, size = cls.clip(split, clip).frames[at], config.size
  return {
    **_shown(portrait, size),
    "landmarks": portrait_drawing.landmarks(portrait, size),
    "mouth": _mouth(portrait),
    "clip": clip,
    "frame": at,
  }


_OF_KIND = {
  "still": (_still_features, _still),
  "person": (_person_features, _person),
  "pair": (_pair_features, _pair),
  "stranger": (_stranger_features, _stranger),
  "clip": (_clip_features, _clip),
  "frame": (_frame_features, _frame),
}
