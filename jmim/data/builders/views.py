"""Frames of scenes: spheres and boxes on a textured disc, black around it.

`solids`: one to three of them, six frames each of 24 x 32 px from
cameras on an arc of 60 degrees that look at the origin; `small`: two frames of
12 x 16 px each of a few scenes. A frame has its `scene` (what groups are made
of) and its number along the arc (`frame`), the pose of its camera (`view_pose`,
float32 [3, 4], camera to world; right, down, forward), the focal length in
heights (`view_focal`) and the `depth` along rays (0: nothing).

Every example is a function of (config, split, number).
"""

import dataclasses

import numpy as np
import tensorflow_datasets as tfds

from jmim.data import encode
from jmim.data import numbered
from jmim.data.procedural import casting


@dataclasses.dataclass(eq=False, kw_only=True)
class ViewsConfig(numbered.Config):
  """Frames, of which `frames` in a row are of one scene.

  Attributes:
    frames: of a scene.
    sides: (height, width) of each [pixels].
  """

  train: int = 2400
  test: int = 240
  frames: int = 6
  sides: tuple[int, int] = (24, 32)


class Views(numbered.Builder):
  """The builder; see the module for the features."""

  SEED = 34
  VERSION = tfds.core.Version("1.0.0")
  BUILDER_CONFIGS = [
    ViewsConfig(name="solids", description="six frames of each of 440 scenes"),
    ViewsConfig(
      name="small",
      description="two small frames of each of 12 scenes",
      train=16,
      test=8,
      frames=2,
      sides=(12, 16),
    ),
  ]

  def _info(self) -> tfds.core.DatasetInfo:
    sides = self.builder_config.sides
    tensor = tfds.features.Tensor
    features = {
      "image": tfds.features.Image(shape=(*sides, 3), encoding_format="png"),
      "depth": tensor(shape=sides, dtype=np.float32),
      "scene": tensor(shape=(), dtype=np.int32),
      "frame": tensor(shape=(), dtype=np.int32),
      "view_pose": tensor(shape=(3, 4), dtype=np.float32),
      "view_focal": tensor(shape=(), dtype=np.float32),
    }
    return tfds.core.DatasetInfo(
      builder=self,
      description=__doc__,
      features=tfds.features.FeaturesDict(features),
    )

  @classmethod
  def example(cls, config: ViewsConfig, split: str, i: int) -> dict:
    """Frame `i` of a split, as it is stored."""
    scene, frame = divmod(i, config.frames)
    rng = cls.rng(config, split, scene)  # the same for all frames of a scene
    solids, poses = casting.draw(rng), casting.arc(rng, config.frames)
    image, depth = casting.render(solids, poses[frame], config.sides)
    return {
      "image": encode.png(image),
      "depth": depth,
      "scene": np.int32(scene),
      "frame": np.int32(frame),
      "view_pose": poses[frame].astype(np.float32),
      "view_focal": np.float32(casting.FOCAL),
    }
