"""Words of three glyphs on textured grounds, and what asks for them.

`words`: a `picture` of 16 x 32 px with a `word` in a box (`mask`), its
`characters` (numbers in `characters.SYMBOLS`) and `letters` (in
`glyphs.LETTERS`), the `windows` (upper and left edge) that show one letter
each, `style`, `colour` (the class), and the `instruction`, four texts of which
the first names both (`instructions.every`). Train and test have different
words, each as often as any other.

`single`: an `image` of 12 x 12 px, the window of a letter (the class) in a word
of any letters, with its `style` and `colour`: what a network learns to read of.

Every example is a function of (config, split, number).
"""

import dataclasses

import numpy as np
import tensorflow_datasets as tfds

from jmim.data import characters
from jmim.data import encode
from jmim.data import instructions
from jmim.data import numbered
from jmim.data.procedural import glyphs

LENGTH = 10  # tokens of the longest instruction, start and end included
_NAMED = "named"  # stands for a name


def _quoted(split: str) -> tuple[str, ...]:
  """The words as they stand in instructions."""
  (one,) = (p for p in instructions.write(_NAMED).split() if _NAMED in p)
  return tuple(one.replace(_NAMED, word) for word in glyphs.words(split))


# Of instructions: data.tokenizer="words:glyphs". Append only: their places are
# what runs have learnt.
WORDS = (
  *("Write", "in", "font:", "and", "color:"),
  *glyphs.STYLES,
  *glyphs.COLOURS,
  *_quoted("train"),
  *_quoted("test"),
)


@dataclasses.dataclass(eq=False, kw_only=True)
class GlyphsConfig(numbered.Config):
  """How many examples there are."""

  test: int = 1000


class Glyphs(numbered.Builder):
  """The builder; see the module for the features of each config."""

  SEED = 1
  VERSION = tfds.core.Version("1.0.0")
  BUILDER_CONFIGS = [
    GlyphsConfig(name="words", description="words and instructions"),
    GlyphsConfig(name="single", description="letters; which is the class"),
  ]

  def _info(self) -> tfds.core.DatasetInfo:
    features = {"words": _word_features, "single": _single_features}
    return tfds.core.DatasetInfo(
      builder=self,
      description=__doc__,
      features=tfds.features.FeaturesDict(features[self.builder_config.name]()),
    )

  @classmethod
  def example(cls, config: GlyphsConfig, split: str, i: int) -> dict:
    """Example `i` of a split, as it is stored."""
    rng = cls.rng(config, split, i)
    if config.name == "single":
      return single(rng)
    known = glyphs.words(split)
    return word(rng, known[i % len(known)])


def _looks() -> dict:
  """Features of style and colour."""
  label = tfds.features.ClassLabel
  styles, colours = label(names=glyphs.STYLES), label(names=[*glyphs.COLOURS])
  return {"style": styles, "colour": colours}


def _word_features() -> dict:
  tensor, text = tfds.features.Tensor, tfds.features.Text
  sides, count = (glyphs.HEIGHT, glyphs.WIDTH), (glyphs.COUNT,)
  return {
    "picture": tfds.features.Image(shape=(*sides, 3), encoding_format="png"),
    "mask": tensor(shape=sides, dtype=np.uint8),
    "word": text(),
    "instruction": tfds.features.Sequence(text(), length=4),
    "characters": tensor(shape=count, dtype=np.int32),
    "letters": tensor(shape=count, dtype=np.int32),
    "windows": tensor(shape=(*count, 2), dtype=np.int32),
    "label": tfds.features.ClassLabel(names=[*glyphs.COLOURS]),
    **_looks(),
  }


def word(rng: np.random.Generator, text: str) -> dict:
  """A picture of a word in any style and colour."""
  made = glyphs.draw_word(rng, text)
  colour = [*glyphs.COLOURS][made.colour]
  return {
    "picture": encode.png(glyphs.render(made, glyphs.draw_ground(rng))),
    "mask": made.box,
    "word": text,
    "instruction": instructions.every(text, glyphs.STYLES[made.style], colour),
    "characters": characters.numbers(text, glyphs.COUNT),
    "letters": made.letters,
    "windows": made.windows,
    "label": made.colour,
    "style": made.style,
    "colour": made.colour,
  }


def _single_features() -> dict:
  side = (glyphs.WINDOW, glyphs.WINDOW, 3)
  return {
    "image": tfds.features.Image(shape=side, encoding_format="png"),
    "label": tfds.features.ClassLabel(names=[*glyphs.LETTERS]),
    **_looks(),
  }


def single(rng: np.random.Generator) -> dict:
  """The window of any letter of a word of any letters."""
  places = rng.integers(len(glyphs.LETTERS), size=glyphs.COUNT)
  text = "".join(glyphs.LETTERS[k] for k in places)
  made, k = glyphs.draw_word(rng, text), int(rng.integers(glyphs.COUNT))
  image = glyphs.render(made, glyphs.draw_ground(rng))
  top, left = made.windows[k]
  side = glyphs.WINDOW
  return {
    "image": encode.png(image[top : top + side, left : left + side]),
    "label": int(places[k]),
    "style": made.style,
    "colour": made.colour,
  }
