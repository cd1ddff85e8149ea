"""Procedural volumes of cells with membranes; no download, nothing licensed.

`small` (12 x 48 x 48 voxels): see `jmim.data.procedural.membranes`. `volume`
is uint8, `cells` numbers the cell of every voxel from 1, `membrane` is 1 where
one lies. Every example is a function of (config, split, number).
"""

import dataclasses

import numpy as np
import tensorflow_datasets as tfds

from jmim.data import numbered
from jmim.data.procedural import membranes


@dataclasses.dataclass(eq=False, kw_only=True)
class MembranesConfig(numbered.Config):
  """How large volumes are, and how many there are.

  Attributes:
    shape: [d, h, w] in voxels.
  """

  shape: tuple[int, int, int] = (12, 48, 48)
  train: int = 300
  test: int = 60


class Membranes(numbered.Builder):
  """The builder; features `volume`, `cells`, `membrane`."""

  SEED = 5
  VERSION = tfds.core.Version("1.0.0")
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

  @classmethod
  def example(cls, config: MembranesConfig, split: str, i: int) -> dict:
    """Example `i` of a split, as it is stored."""
    rng = cls.rng(config, split, i)
    tissue = membranes.draw(config.shape, rng)
    volume, cells, membrane = membranes.render(tissue, config.shape, rng)
    return {"volume": volume, "cells": cells, "membrane": membrane}
