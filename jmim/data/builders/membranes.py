"""Procedural volumes of cells with membranes; no download, nothing licensed.

`small` (12 x 48 x 48 voxels): see `jmim.data.procedural.membranes`. `volume`
is uint8, `cells` numbers the cell of every voxel from 1, `membrane` is 1 where
one lies. Every example is a function of (config, split, number).
"""

import dataclasses
from collections.abc import Iterator

import numpy as np
import tensorflow_datasets as tfds

from jmim.data.procedural import membranes

_SEED = 5
_SPLITS = ("train", "test")


@dataclasses.dataclass(eq=False, kw_only=True)
class MembranesConfig(tfds.core.BuilderConfig):
  """How large volumes are, and how many there are.

  Attributes:
    shape: [d, h, w] in voxels.
    train: examples of the train split.
    test: examples of the test split.
  """

  shape: tuple[int, int, int] = (12, 48, 48)
  train: int = 300
  test: int = 60


class Membranes(tfds.core.GeneratorBasedBuilder):
  """The builder; features `volume`, `cells`, `membrane`."""

  VERSION = tfds.core.Version("1.0.0")
  # Append only: the place of a config is part of what its examples are made of.
  BUILDER_CONFIGS = [
    MembranesConfig(name="small", description="volumes of 12 x 48 x 48"),
  ]

  def _info(self) -> tfds.core.DatasetInfo:
    tensor = tfds.features.Tensor
    shape = self.builder_config.shape
    names = ("volume", "cells", "membrane")
    features = {name: tensor(shape=shape, dtype=np.uint8) for name in names}
    return tfds.core.DatasetInfo(
      builder=self,
      description=__doc__,
      features=tfds.features.FeaturesDict(features),
    )

  def _split_generators(self, dl_manager) -> dict[str, Iterator]:
    del dl_manager  # nothing to download
    return {split: self._generate_examples(split) for split in _SPLITS}

  def _generate_examples(self, split: str) -> Iterator[tuple[int, dict]]:
    for i in range(getattr(self.builder_config, split)):
      yield i, example(self.builder_config, split, i)


def example(config: MembranesConfig, split: str, i: int) -> dict:
  """Example `i` of a split, as it is stored."""
  names = [c.name for c in Membranes.BUILDER_CONFIGS]
  where = [names.index(config.name), _SPLITS.index(split), i]
  rng = np.random.default_rng([_SEED, *where])
  tissue = membranes.draw(config.shape, rng)
  volume, cells, membrane = membranes.render(tissue, config.shape, rng)
  return {"volume": volume, "cells": cells, "membrane": membrane}
