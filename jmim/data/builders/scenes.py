"""Scenes of 32 px that a caption describes, with every attribute exact.

All have a plain ground, things that do not touch, a `caption`, its `tokens`
(places in `described.WORDS`), those of each thing (`thing_tokens`), `objects`
(colour, x, y, width, height), `ellipses` (x, y, half axes, angle) and
`instance` (whose pixel it is).

`one`: one thing; the class is its colour; `kind`, `texture`, `place` and the
numbers `y`, `x`, `radius`. `pairs`: two things, small or `large`, the first
left of the other or above it (`relation`). `blobs`: two things of any
proportion, turned anyhow. Of two, `kind`, `colour` and `texture` are one per
thing, and the class is the colour of the first. `episodes`: six scenes, each
with one thing of the class (kind by texture) and one or two of others, and the
`masks` of the first. These are stored by class, as many of each: `of_classes`
writes a split that holds some of them. `edits`: one thing, and what is to be
made of it: `target`, its caption with another colour, and that `target_label`.

Every example is a function of (config, split, number).
"""

from collections.abc import Sequence

import numpy as np
import tensorflow_datasets as tfds

from jmim.data import encode
from jmim.data import numbered
from jmim.data.procedural import described

SIZE = described.SIDE
WORDS = described.WORDS  # of captions: data.tokenizer="words:scenes"
LENGTHS = {"one": 8, "pairs": 12, "blobs": 9}  # words of the longest caption
OF_A_THING = 4  # words of the longest description
SHOTS = 6  # scenes of an episode: a query and five supports


class Scenes(numbered.Builder):
  """The builder; see the module for the features of each config."""

  SEED = 1
  VERSION = tfds.core.Version("1.0.0")
  BUILDER_CONFIGS = [
    numbered.Config(
      name="one", description="one thing; its colour is the class"
    ),
    numbered.Config(name="pairs", description="two things side by side"),
    numbered.Config(name="blobs", description="two things with their ellipses"),
    numbered.Config(
      name="episodes",
      description="six scenes with a thing of one class in each",
      train=4000,
      test=800,
    ),
    numbered.Config(
      name="edits",
      description="one thing, and the caption of another colour",
      train=1000,
      test=1000,
    ),
  ]

  def _info(self) -> tfds.core.DatasetInfo:
    name = self.builder_config.name
    return tfds.core.DatasetInfo(
      builder=self,
      description=__doc__,
      features=tfds.features.FeaturesDict(_FEATURES[name]()),
      disable_shuffling=name == "episodes",
    )

  @classmethod
  def example(cls, config: numbered.Config, split: str, i: int) -> dict:
    """Example `i` of a split, as it is stored."""
    rng = cls.rng(config, split, i)
    if config.name == "episodes":
      return episode(rng, of=i * _CLASSES // getattr(config, split))
    return _MADE[config.name](rng)


_CLASSES = len(described.CLASSES)


def of_classes(split: str, classes: Sequence[int]) -> str:
  """The part of a split of `episodes` that holds some classes.

  Args:
    split: "train" or "test".
    classes: indices in `described.CLASSES`, at least one.

  Returns:
    As `data.train_split` has it: "train[0:500]+train[2000:2500]".
  """
  config = Scenes.builder_configs["episodes"]
  each = getattr(config, split) // _CLASSES
  bounds = [(each * k, each * (k + 1)) for k in sorted(classes)]
  return "+".join(f"{split}[{first}:{end}]" for first, end in bounds)


def _common(count: int, length: int) -> dict:
  """Features of scenes of so many things and captions of so many words."""
  tensor = tfds.features.Tensor
  grid = (SIZE, SIZE)
  return {
    "image": tfds.features.Image(shape=(*grid, 3), encoding_format="png"),
    "label": tfds.features.ClassLabel(names=described.COLOURS),
    "caption": tfds.features.Text(),
    "tokens": tensor(shape=(length,), dtype=np.int32),
    "thing_tokens": tensor(shape=(count, OF_A_THING), dtype=np.int32),
    "objects": tensor(shape=(count, 5), dtype=np.float32),
    "ellipses": tensor(shape=(count, 5), dtype=np.float32),
    "instance": tensor(shape=grid, dtype=np.uint8),
    "ground": tensor(shape=(3,), dtype=np.float32),
  }


def _described(
  things: Sequence[described.Thing],
  caption: str,
  length: int,
  rng: np.random.Generator,
) -> dict:
  """The same of some things on a ground of a random colour."""
  ground = described.draw_ground(rng)
  image, instance = described.render(things, ground, SIZE)
  own = [described.tokens(thing.words, OF_A_THING) for thing in things]
  return {
    "image": encode.png(image),
    "label": things[0].colour,
    "caption": caption,
    "tokens": described.tokens(caption, length),
    "thing_tokens": np.stack(own),
    "objects": described.boxes(instance, things),
    "ellipses": np.stack([thing.ellipse for thing in things]),
    "instance": instance,
    "ground": ground,
  }


def _one_features() -> dict:
  label = tfds.features.ClassLabel
  return {
    **_common(1, LENGTHS["one"]),
    "kind": label(names=described.KINDS),
    "texture": label(names=described.TEXTURES),
    "place": label(names=described.PLACES),
    **dict.fromkeys(("y", "x", "radius"), np.float32),
  }


def one(rng: np.random.Generator) -> dict:
  """A thing: "a red striped circle at the top left"."""
  thing, place = described.draw_one(rng)
  caption = f"a {thing.words} at the {described.PLACES[place]}"
  return {
    **_described([thing], caption, LENGTHS["one"], rng),
    "kind": thing.kind,
    "texture": thing.texture,
    "place": place,
    "y": thing.y,
    "x": thing.x,
    "radius": thing.long,
  }


def _edit_features() -> dict:
  colour = tfds.features.ClassLabel(names=described.COLOURS)
  more = {"target": tfds.features.Text(), "target_label": colour}
  return {**_one_features(), **more}


def edit(rng: np.random.Generator) -> dict:
  """A thing as `one` makes it, and what it should be: another colour."""
  found, count = one(rng), len(described.COLOURS)
  wanted = int((found["label"] + rng.integers(1, count)) % count)
  words = (described.COLOURS[i] for i in (found["label"], wanted))
  target = found["caption"].replace(*words)
  return {**found, "target": target, "target_label": wanted}


def _each(things: Sequence[described.Thing], *names: str) -> dict:
  """Attributes of every thing: name -> int32 [n]."""
  values = {n: [getattr(thing, n) for thing in things] for n in names}
  return {name: np.array(value, np.int32) for name, value in values.items()}


def _two_features(length: int, *more: str) -> dict:
  two = tfds.features.Tensor(shape=(2,), dtype=np.int32)
  names = ("kind", "colour", "texture", *more)
  return {**_common(2, length), **dict.fromkeys(names, two)}


def _pair_features() -> dict:
  relation = tfds.features.ClassLabel(names=described.RELATIONS)
  return {**_two_features(LENGTHS["pairs"], "large"), "relation": relation}


def pair(rng: np.random.Generator) -> dict:
  """Two: "a large red circle left of a small blue striped square"."""
  things, relation = described.draw_pair(rng)
  between = described.RELATIONS[relation]
  caption = f"a {things[0].words} {between} a {things[1].words}"
  return {
    **_described(things, caption, LENGTHS["pairs"], rng),
    **_each(things, "kind", "colour", "texture", "large"),
    "relation": relation,
  }


def blobs(rng: np.random.Generator) -> dict:
  """Two in their ellipses: "a red circle and a blue striped square"."""
  things = described.draw_blobs(rng)
  caption = f"a {things[0].words} and a {things[1].words}"
  return {
    **_described(things, caption, LENGTHS["blobs"], rng),
    **_each(things, "kind", "colour", "texture"),
  }


def _episode_features() -> dict:
  tensor, grid = tfds.features.Tensor, (SIZE, SIZE)
  return {
    "image": tfds.features.Image(shape=(*grid, 3), encoding_format="png"),
    "label": tfds.features.ClassLabel(names=described.CLASSES),
    "segmentation": tensor(shape=grid, dtype=np.uint8),
    "scenes": tensor(shape=(SHOTS, *grid, 3), dtype=np.uint8),
    "masks": tensor(shape=(SHOTS, *grid), dtype=np.uint8),
  }


def episode(rng: np.random.Generator, of: int) -> dict:
  """Scenes with a thing of class `of` in each, 1 in the masks.

  The first is the query, `image` and `segmentation` too.
  """
  made = []
  for _ in range(SHOTS):
    things = described.draw_scene(rng, of)
    made.append(described.render(things, described.draw_ground(rng), SIZE))
  images, instances = map(np.stack, zip(*made, strict=True))
  masks = (instances == 1).astype(np.uint8)
  return {
    "image": encode.png(images[0]),
    "label": of,
    "segmentation": masks[0],
    "scenes": images,
    "masks": masks,
  }


_FEATURES = {
  "one": _one_features,
  "pairs": _pair_features,
  "blobs": lambda: _two_features(LENGTHS["blobs"]),
  "episodes": _episode_features,
  "edits": _edit_features,
}
_MADE = {"one": one, "pairs": pair, "blobs": blobs, "edits": edit}
