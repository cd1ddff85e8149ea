"""Texts to make pictures of: `caption`, and the class that each is of.

`voc`: those that DiffuMask tells Stable Diffusion, 15,000 of each class of
PASCAL VOC in train, 100 in test (`procedural/prompts.py`). They are stored by
class, so that a slice of a split is of one: train[0:15000] is the first.

Every example is a function of (config, split, number).
"""

import dataclasses

import tensorflow_datasets as tfds

from jmim.data import numbered
from jmim.data.procedural import prompts


@dataclasses.dataclass(eq=False, kw_only=True)
class PromptsConfig(numbered.Config):
  """How many texts there are of each class."""

  train: int = 15_000
  test: int = 100


class Prompts(numbered.Builder):
  """The builder; see the module."""

  SEED = 1
  VERSION = tfds.core.Version("1.0.0")
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

  @classmethod
  def count(cls, config: PromptsConfig, split: str) -> int:
    """As many of each class."""
    return len(prompts.CLASSES) * getattr(config, split)

  @classmethod
  def example(cls, config: PromptsConfig, split: str, i: int) -> dict:
    """Example `i` of a split, as it is stored."""
    rng = cls.rng(config, split, i)
    label = i // getattr(config, split)
    texts = prompts.of(prompts.CLASSES[label])
    return {"caption": texts[rng.integers(len(texts))], "label": label}
