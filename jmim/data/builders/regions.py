"""Procedural scenes of textured regions, with the region of every pixel.

`voronoi` (24 px) and `voronoi48`: see `jmim.data.procedural.regions`.
`instance` numbers regions from 1, those in front last; `count` says how many
there are, some of which others may hide; the class is the texture of the
largest. Every example is a function of (config, split, number).
"""

import dataclasses

import numpy as np
import tensorflow_datasets as tfds

from jmim.data import encode
from jmim.data import numbered
from jmim.data.procedural import drawing
from jmim.data.procedural import regions


@dataclasses.dataclass(eq=False, kw_only=True)
class RegionsConfig(numbered.Config):
  """How large images are, and how many there are.

  Attributes:
    size: side [pixels].
  """

  size: int = 24


class Regions(numbered.Builder):
  """The builder; features `image`, `label`, `instance`, `count`."""

  SEED = 3
  VERSION = tfds.core.Version("1.0.0")
  BUILDER_CONFIGS = [
    RegionsConfig(name="voronoi", description="regions on 24 x 24"),
    RegionsConfig(name="voronoi48", description="regions on 48 x 48", size=48),
  ]

  def _info(self) -> tfds.core.DatasetInfo:
    grid = (self.builder_config.size, self.builder_config.size)
    features = {
      "image": tfds.features.Image(shape=(*grid, 3), encoding_format="png"),
      "label": tfds.features.ClassLabel(names=regions.TEXTURES),
      "instance": tfds.features.Tensor(shape=grid, dtype=np.uint8),
      "count": np.int64,
    }
    return tfds.core.DatasetInfo(
      builder=self,
      description=__doc__,
      features=tfds.features.FeaturesDict(features),
    )

  @classmethod
  def example(cls, config: RegionsConfig, split: str, i: int) -> dict:
    """Example `i` of a split, as it is stored."""
    rng = cls.rng(config, split, i)
    scene = regions.draw(config.size, rng)
    image, instance = regions.render(scene, config.size, rng)
    largest = np.bincount(instance.ravel()).argmax() - 1
    return {
      "image": encode.png(drawing.levels(image)),
      "label": scene.paints[largest].texture,
      "instance": instance,
      "count": len(scene.paints),
    }
