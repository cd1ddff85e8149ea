"""Clips of dancers, and the same clips in another garment.

`clips` (16 frames) and `long` (32 frames) of 32 px, see
`jmim.data.procedural.dancers`. An example holds `frames` [t, 32, 32, 3], the
`masks` [t, 32, 32] of what is worn (a pixel wider), `agnostic` frames, grey
there, the `pose`, drawn, and the `garment` [16, 16, 3] by itself; and for tests
an `other` garment and the clip in which that is worn, `swapped`. `motion`
[t, 2, 3] leads from torso coordinates to pixels. The class is the texture.

Every example is a function of (config, split, number).
"""

import dataclasses

import numpy as np
import tensorflow_datasets as tfds

from jmim.data import numbered
from jmim.data.procedural import dancers
from jmim.data.procedural import drawing


@dataclasses.dataclass(eq=False, kw_only=True)
class DancersConfig(numbered.Config):
  """How long clips are, and how many there are.

  Attributes:
    frames: of a clip.
  """

  frames: int = 16
  train: int = 1600
  test: int = 200


class Dancers(numbered.Builder):
  """The builder; see the module for its features."""

  SEED = 10
  VERSION = tfds.core.Version("1.0.0")
  BUILDER_CONFIGS = [
    DancersConfig(name="clips", description="16 frames of 32 x 32"),
    DancersConfig(
      name="long", description="32 frames of 32 x 32", frames=32, train=400
    ),
  ]

  def _info(self) -> tfds.core.DatasetInfo:
    label = tfds.features.ClassLabel(names=dancers.KINDS)
    tensor, t = tfds.features.Tensor, self.builder_config.frames
    side, flat = (dancers.SIDE,) * 2, (dancers.FLAT,) * 2
    clips = ("frames", "agnostic", "pose", "swapped")
    clip = lambda: tensor(shape=(t, *side, 3), dtype=np.uint8)
    flats = ("garment", "other")
    return tfds.core.DatasetInfo(
      builder=self,
      description=__doc__,
      features=tfds.features.FeaturesDict(
        {
          **{name: clip() for name in clips},
          **{n: tensor(shape=(*flat, 3), dtype=np.uint8) for n in flats},
          "masks": tensor(shape=(t, *side), dtype=np.uint8),
          "motion": tensor(shape=(t, 2, 3), dtype=np.float32),
          "label": label,
        }
      ),
    )

  @classmethod
  def example(cls, config: DancersConfig, split: str, i: int) -> dict:
    """Example `i` of a split, as it is stored."""
    rng = cls.rng(config, split, i)
    dancer = dancers.draw(rng, config.frames)
    worn, other = (dancers.draw_garment(rng) for _ in range(2))
    frames, masks = dancers.render(dancer, worn), dancers.masks(dancer)
    levels = {
      "frames": frames,
      "agnostic": dancers.agnostic(frames, masks),
      "pose": dancers.pose(dancer),
      "swapped": dancers.render(dancer, other),
      "garment": worn.flat(),
      "other": other.flat(),
    }
    return {
      **{n: drawing.levels(x) for n, x in levels.items()},
      "masks": masks,
      "motion": dancer.motion(),
      "label": worn.kind,
    }
