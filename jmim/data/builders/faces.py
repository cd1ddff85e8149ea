"""Procedural faces with the colour of their hair and their mouth as the class.

`small` (16 px) and `small32`: see `jmim.data.procedural.faces`. `label` is one
of twelve, four colours of hair by three mouths; `hair` and `mouth` are both
alone. Every example is a function of (config, split, number).
"""

import dataclasses

import numpy as np
import tensorflow_datasets as tfds

from jmim.data import encode
from jmim.data import numbered
from jmim.data.procedural import faces


@dataclasses.dataclass(eq=False, kw_only=True)
class FacesConfig(numbered.Config):
  """How large images are, and how many there are.

  Attributes:
    size: side [pixels].
  """

  size: int = 16


class Faces(numbered.Builder):
  """The builder; features `image`, `label`, `hair`, `mouth`."""

  SEED = 2
  VERSION = tfds.core.Version("1.0.0")
  BUILDER_CONFIGS = [
    FacesConfig(name="small", description="faces of 16 x 16"),
    FacesConfig(name="small32", description="faces of 32 x 32", size=32),
  ]

  def _info(self) -> tfds.core.DatasetInfo:
    shape = (self.builder_config.size, self.builder_config.size, 3)
    classes = {"label": faces.CLASSES, "hair": faces.HAIR}
    classes |= {"mouth": faces.MOUTHS}
    named = {
      name: tfds.features.ClassLabel(names=list(known))
      for name, known in classes.items()
    }
    image = tfds.features.Image(shape=shape, encoding_format="png")
    return tfds.core.DatasetInfo(
      builder=self,
      description=__doc__,
      features=tfds.features.FeaturesDict({"image": image, **named}),
      supervised_keys=("image", "label"),
    )

  @classmethod
  def example(cls, config: FacesConfig, split: str, i: int) -> dict:
    """Example `i` of a split, as it is stored."""
    face = faces.draw(cls.rng(config, split, i))
    image = faces.render(face, config.size).round().clip(0, 255)
    hair, mouth = divmod(face.label, len(faces.MOUTHS))
    return {
      "image": encode.png(image.astype(np.uint8)),
      "label": face.label,
      "hair": hair,
      "mouth": mouth,
    }
