"""Data sets whose every example is drawn by its number: no download, no order.

An example is a function of (config, split, number), so that a set may grow, be
made in parts, or be looked at in one place without being made at all.
"""

import abc
import dataclasses
from collections.abc import Iterator
from typing import Any
from typing import ClassVar

import numpy as np
import tensorflow_datasets as tfds

from jmim.data import splits


@dataclasses.dataclass(eq=False, kw_only=True)
class Config(tfds.core.BuilderConfig):
  """How many examples there are.

  Attributes:
    train: of the train split.
    test: of the test split.
  """

  train: int = 8000
  test: int = 2000


class Builder(tfds.core.GeneratorBasedBuilder, abc.ABC, skip_registration=True):
  """A builder of such a set; a subclass has `example`, its configs, its seed.

  BUILDER_CONFIGS are append only: the place of a config is part of what its
  examples are made of. A config has one number of examples per split.
  """

  SEED: ClassVar[int]  # tells the sets apart

  @classmethod
  @abc.abstractmethod
  def example(cls, config: Any, split: str, i: int) -> dict[str, Any]:
    """Example `i` of a split, as it is stored."""

  @classmethod
  def count(cls, config: Any, split: str) -> int:
    """Examples of a split."""
    return getattr(config, split)

  @classmethod
  def rng(cls, config: Any, split: str, i: int) -> np.random.Generator:
    """What example `i` of a split is drawn with."""
    names = [c.name for c in cls.BUILDER_CONFIGS]
    where = (names.index(config.name), splits.MADE.index(split), i)
    return np.random.default_rng([cls.SEED, *where])

  def _split_generators(self, dl_manager) -> dict[str, Iterator]:
    del dl_manager  # nothing to download
    return {split: self._generate_examples(split) for split in splits.MADE}

  def _generate_examples(self, split: str) -> Iterator[tuple[int, dict]]:
    config = self.builder_config
    for i in range(self.count(config, split)):
      yield i, self.example(config, split, i)
