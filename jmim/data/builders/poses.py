"""Procedural bodies, with modes of the heatmaps of their joints.

`small` (heatmaps of 32 px): see `jmim.data.procedural.bodies`. `poses` [48] are
metres without the pelvis, with a mean of 0 along each axis; `modes` [16, 2, 3]
are (x, y) in pixels and height of two Gaussians per joint, of which the second
may have none. In training each limb joint has a second one with probability
0.3; of the test split examples of even number have none (`label` 0), the others
at least one. Every example is a function of (config, split, number).
"""

import dataclasses

import numpy as np
import tensorflow_datasets as tfds

from jmim.data import numbered
from jmim.data.procedural import bodies

LABELS = ("clear", "ambiguous")


@dataclasses.dataclass(eq=False, kw_only=True)
class PosesConfig(numbered.Config):
  """How large heatmaps are, and how many examples there are.

  Attributes:
    size: side of a heatmap [pixels].
    rate: share of limb joints with a second mode.
  """

  size: int = 32
  rate: float = 0.3
  train: int = 40_000
  test: int = 1000


class Poses(numbered.Builder):
  """The builder; features `poses`, `modes`, `label`."""

  SEED = 6
  VERSION = tfds.core.Version("1.0.0")
  BUILDER_CONFIGS = [
    PosesConfig(name="small", description="heatmaps of 32 px"),
  ]

  def _info(self) -> tfds.core.DatasetInfo:
    def numbers(*shape):
      return tfds.features.Tensor(
        shape=shape,
        dtype=np.float32,
        encoding=tfds.features.Encoding.BYTES,
      )

    joints = len(bodies.JOINTS) - 1
    features = {
      "poses": numbers(3 * joints),
      "modes": numbers(joints, 2, 3),
      "label": tfds.features.ClassLabel(names=list(LABELS)),
    }
    return tfds.core.DatasetInfo(
      builder=self,
      description=__doc__,
      features=tfds.features.FeaturesDict(features),
    )

  @classmethod
  def example(cls, config: PosesConfig, split: str, i: int) -> dict:
    """Example `i` of a split, as it is stored."""
    rng = cls.rng(config, split, i)
    joints = bodies.draw(rng)
    second, limbs = np.zeros(len(joints), bool), list(bodies.LIMBS)
    second[limbs] = rng.random(len(limbs)) < config.rate
    if split == "test":
      second[rng.choice(limbs)] = True
      second &= i % 2 == 1
    seen = bodies.project(joints, config.size)
    return {
      "poses": bodies.vector(joints),
      "modes": bodies.modes(seen, second, rng),
      "label": int(second.any()),
    }
