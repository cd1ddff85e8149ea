"""Procedural shapes with exact annotations; no download, nothing licensed.

`small` (32 px), `medium` (64 px) and `large` (128 px): scenes with class (the
kind of the nearest thing), caption, instance and semantic masks, depth, and
boxes. `moving`: clips of 64 px with exact flow and masks; `image` is the first
frame. `directions`: clips of 32 px in which one thing moves in one of eight
directions, the class. `points`: 3-D clouds of things made of solids, with part
labels. `spots`: one shape of 8 px, the class, anywhere on 32 px of noise.
`attributes` (16 px) and `attributes32`: one thing, and a label or a number for
each of its attributes, coarse and fine. `zoom`: soft forms of 64 px, and the
numbers that they can be rendered from at any other size. `tiny` (16 px): one
coloured shape or two, a `caption` and the `tokens` of its words, in WORDS.
`solids`: clouds of 256 points on eight kinds of surfaces, the class. `sets`:
five pictures of two shapes (16 px) that have nothing to do with each other, as
a clip; every second test example has pairs of colours that training lacks.
`preferences`: two clips as in `directions`, of five frames each, one after the
other in one clip; they differ in their pace alone, and the first, which is
preferred, is the faster.

Every example is a function of (config, split, number).
"""

import dataclasses
from collections.abc import Iterator

import numpy as np
import tensorflow_datasets as tfds

from jmim.data import encode
from jmim.data import shape_clips
from jmim.data import shape_clouds
from jmim.data import shape_pictures
from jmim.data import splits
from jmim.data.procedural import attributes
from jmim.data.procedural import drawing
from jmim.data.procedural import scenes
from jmim.data.procedural import tiny

WORDS = tiny.WORDS  # of captions of `tiny`: data.tokenizer="words:shapes"

_SEED = 0


@dataclasses.dataclass(eq=False, kw_only=True)
class ShapesConfig(tfds.core.BuilderConfig):
  """What an example is.

  Attributes:
    kind: one of _OF_KIND.
    size: image side in pixels; points of a cloud.
    frames: of a clip.
    train: examples of the train split.
    test: examples of the test split.
    new: every second test example, with an odd number, is unlike training's.
  """

  kind: str = "scene"
  size: int = 32
  frames: int = 1
  train: int = 2000
  test: int = 500
  new: bool = False


class Shapes(tfds.core.GeneratorBasedBuilder):
  """The builder; see the module for the features of each config."""

  VERSION = tfds.core.Version("1.0.0")
  BUILDER_CONFIGS = [
    ShapesConfig(name="small", description="scenes of 32 x 32"),
    ShapesConfig(name="medium", description="scenes of 64 x 64", size=64),
    ShapesConfig(name="large", description="scenes of 128 x 128", size=128),
    ShapesConfig(
      name="moving",
      description="clips of 64 x 64",
      kind="clip",
      size=64,
      frames=6,
      train=200,
      test=50,
    ),
    ShapesConfig(
      name="points",
      description="clouds of 512 points",
      kind="cloud",
      size=512,
    ),
    ShapesConfig(
      name="directions",
      description="clips of 32 x 32",
      kind="glide",
      frames=8,
      test=2000,
      version=tfds.core.Version("1.2.0"),
      release_notes={
        "1.1.0": "a smooth texture behind the thing, not noise",
        "1.2.0": "a smoother texture, a faster thing, more test clips",
      },
    ),
    ShapesConfig(
      name="spots",
      description="one shape of 8 x 8 on 32 x 32 of noise",
      kind="spot",
      train=8000,
      test=2000,
    ),
    ShapesConfig(
      name="attributes",
      description="one thing on 16 x 16, a label per attribute",
      kind="look",
      size=16,
      train=8000,
      test=2000,
    ),
    ShapesConfig(
      name="attributes32",
      description="one thing on 32 x 32, a label per attribute",
      kind="look",
      train=8000,
      test=2000,
    ),
    ShapesConfig(
      name="zoom",
      description="soft forms on 64 x 64, with their numbers",
      kind="zoom",
      size=64,
      train=4000,
    ),
    ShapesConfig(
      name="tiny",
      description="one shape or two on 16 x 16, and a caption",
      kind="told",
      size=tiny.SIZE,
      train=8000,
    ),
    ShapesConfig(
      name="solids",
      description="clouds of 256 points",
      kind="surface",
      size=256,
    ),
    ShapesConfig(
      name="sets",
      description="five unrelated pictures of 16 x 16",
      kind="set",
      size=tiny.SIZE,
      frames=5,
      train=4000,
      new=True,
    ),
    ShapesConfig(
      name="preferences",
      description="two clips of 32 x 32, the first faster",
      kind="pair",
      frames=10,
    ),
  ]

  def _info(self) -> tfds.core.DatasetInfo:
    config = self.builder_config
    features, _ = _OF_KIND[config.kind]
    return tfds.core.DatasetInfo(
      builder=self,
      description=__doc__,
      features=tfds.features.FeaturesDict(features(config)),
    )

  def _split_generators(self, dl_manager) -> dict[str, Iterator]:
    del dl_manager  # nothing to download
    return {split: self._generate_examples(split) for split in splits.MADE}

  def _generate_examples(self, split: str) -> Iterator[tuple[str, dict]]:
    config = self.builder_config
    _, make = _OF_KIND[config.kind]
    for i in range(getattr(config, split)):
      more = {"new": split == "test" and i % 2 == 1} if config.new else {}
      rng = example_rng(config.name, split, i)
      yield f"{i:06d}", make(config, rng, **more)


def example_rng(config: str, split: str, i: int) -> np.random.Generator:
  """All that is random about an example."""
  names = [c.name for c in Shapes.BUILDER_CONFIGS]
  where = [names.index(config), splits.MADE.index(split), i]
  return np.random.default_rng([_SEED, *where])


def _scene_features(config) -> dict:
  grid = (config.size, config.size)
  return {
    "image": tfds.features.Image(shape=(*grid, 3), encoding_format="png"),
    "label": tfds.features.ClassLabel(names=scenes.KINDS),
    "caption": tfds.features.Text(),
    "instance": tfds.features.Tensor(shape=grid, dtype=np.uint8),
    "semantic": tfds.features.Tensor(shape=grid, dtype=np.uint8),
    "depth": tfds.features.Tensor(shape=grid, dtype=np.float32),
    "boxes": tfds.features.Tensor(shape=(scenes.MOST, 4), dtype=np.float32),
    "count": np.int64,
  }


def scene(config: ShapesConfig, rng: np.random.Generator) -> dict:
  """One still scene."""
  things = scenes.random_things(config.size, rng)
  image, instance, depth = scenes.render(
    things, scenes.background(config.size, rng)
  )
  return {
    "image": encode.png(drawing.levels(image)),
    "label": things[-1].kind,
    "caption": scenes.caption(things),
    "instance": instance,
    "semantic": scenes.semantic(instance, things),
    "depth": depth,
    "boxes": scenes.boxes(instance, len(things)),
    "count": len(things),
  }


def _clip_features(config) -> dict:
  grid, t = (config.size, config.size), config.frames
  tensor = tfds.features.Tensor
  return {
    "image": tfds.features.Image(shape=(*grid, 3), encoding_format="png"),
    "label": tfds.features.ClassLabel(names=scenes.KINDS),
    "video": tensor(shape=(t, *grid, 3), dtype=np.uint8),
    "instance": tensor(shape=(t, *grid), dtype=np.uint8),
    "flow": tensor(shape=(t - 1, *grid, 2), dtype=np.float32),
    "count": np.int64,
  }


def clip(config: ShapesConfig, rng: np.random.Generator) -> dict:
  """One clip; the label is the kind of the nearest thing."""
  made = scenes.clip(config.size, config.frames, rng)
  video = drawing.levels(made["video"])
  return {
    "image": encode.png(video[0]),
    "label": made["things"][-1].kind,
    "video": video,
    "instance": made["instance"],
    "flow": made["flow"],
    "count": len(made["things"]),
  }


def _look_features(config) -> dict:
  shape = (config.size, config.size, 3)
  named = attributes.CLASSES.items()
  return {
    "image": tfds.features.Image(shape=shape, encoding_format="png"),
    **{k: tfds.features.ClassLabel(names=v) for k, v in named},
    **dict.fromkeys(attributes.NUMBERS, np.float32),
  }


def look(config: ShapesConfig, rng: np.random.Generator) -> dict:
  """One thing with all its attributes; the label is its kind."""
  drawn = attributes.draw(rng)
  image = drawing.levels(attributes.render(drawn, config.size))
  return {"image": encode.png(image), **drawn.values}


_OF_KIND = {
  "scene": (_scene_features, scene),
  "clip": (_clip_features, clip),
  "glide": (shape_clips.glide_features, shape_clips.glide),
  "pair": (shape_clips.glide_features, shape_clips.pair),
  "cloud": (shape_clouds.cloud_features, shape_clouds.cloud),
  "spot": (shape_pictures.spot_features, shape_pictures.spot),
  "look": (_look_features, look),
  "zoom": (shape_pictures.zoom_features, shape_pictures.forms),
  "told": (shape_pictures.told_features, shape_pictures.told),
  "set": (shape_pictures.set_features, shape_pictures.pictures),
  "surface": (shape_clouds.surface_features, shape_clouds.surface),
}
