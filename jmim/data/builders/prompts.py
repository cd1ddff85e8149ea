"""Texts to make pictures of: `caption`, and the class that each is of.

`voc`: those that DiffuMask tells Stable Diffusion, 15,000 of each class of
PASCAL VOC in train, 100 in test (`procedural/prompts.py`). They are stored by
class, so that a slice of a split is of one: train[0:15000] is the first.

Every example is a function of (config, split, number).
"""

import dataclasses
from collections.abc import Iterator

import numpy as np
import tensorflow_datasets as tfds

from jmim.data.procedural import prompts

_SEED = 1
_SPLITS = ("train", "test")


@dataclasses.dataclass(eq=False, kw_only=True)
class PromptsConfig(tfds.core.BuilderConfig):
  """How many texts there are.

  Attributes:
    train: of each class in the train split.
    test: of each class in the test split.
  """

  train: int = 15_000
  test: int = 100


class Prompts(tfds.core.GeneratorBasedBuilder):
  """The builder; see the module."""

  VERSION = tfds.core.Version("1.0.0")
  # Append only: the place of a config is part of what its examples are made of.
  BUILDER_CONFIGS = [
    PromptsConfig(name="voc", description="20 classes and their sub-classes"),
  ]

  def _info(self) -> tfds.core.DatasetInfo:
    return tfds.core.DatasetInfo(
      builder=self,
      description=__doc__,
      features=tfds.features.FeaturesDict(
        {
          "caption": tfds.features.Text(),
          "label": tfds.features.ClassLabel(names=prompts.CLASSES),
        }
      ),
      disable_shuffling=True,
    )

  def _split_generators(self, dl_manager) -> dict[str, Iterator]:
    del dl_manager  # nothing to download
    return {split: self._generate_examples(split) for split in _SPLITS}

  def _generate_examples(self, split: str) -> Iterator[tuple[int, dict]]:
    config = self.builder_config
    for i in range(len(prompts.CLASSES) * getattr(config, split)):
      yield i, example(config, split, i)


def example(config: PromptsConfig, split: str, i: int) -> dict:
  """Example `i` of a split, as it is stored."""
  names = [c.name for c in Prompts.BUILDER_CONFIGS]
  where = [names.index(config.name), _SPLITS.index(split), i]
  rng = np.random.default_rng([_SEED, *where])
  label = i // getattr(config, split)
  texts = prompts.of(prompts.CLASSES[label])
  return {"caption": texts[rng.integers(len(texts))], "label": label}
