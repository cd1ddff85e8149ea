"""Points of a mixture of low-rank Gaussians (`jmim.data.procedural.molrg`).

48 dimensions, seen also as 4 x 4 pixels of 3 colours. `k2d3`: two subspaces of
3 dimensions, `k2d7`: of 7, with 350 points each to train on, the example of
Wang et al. 2024; `uneven`: 3, 5 and 8 dimensions, with 150, 250 and 400 points.
"""

import dataclasses
from collections.abc import Iterator

import numpy as np
import tensorflow_datasets as tfds

from jmim.data import splits
from jmim.data.procedural import molrg


@dataclasses.dataclass(eq=False, kw_only=True)
class MolrgConfig(tfds.core.BuilderConfig):
  """Of the points.

  Attributes:
    width: dimensions of the space.
    dims: of the subspaces.
    train: points of each subspace in the train split.
    test: in the test split.
  """

  width: int = 48
  dims: tuple[int, ...] = (3, 3)
  train: tuple[int, ...] = (350, 350)
  test: tuple[int, ...] = (350, 350)


CONFIGS = {
  config.name: config
  for config in (
    MolrgConfig(name="k2d3", description="two of 3 dimensions"),
    MolrgConfig(name="k2d7", description="two of 7 dimensions", dims=(7, 7)),
    MolrgConfig(
      name="uneven",
      description="3, 5 and 8 dimensions, of unequal weight",
      dims=(3, 5, 8),
      train=(150, 250, 400),
      test=(150, 250, 400),
    ),
  )
}


def bases(name: str) -> molrg.Bases:
  """The subspaces of a config of the data set."""
  config = CONFIGS[name]
  return molrg.bases(config.width, config.dims)


class Molrg(tfds.core.GeneratorBasedBuilder):
  """The builder; features `vector`, float32 [n], and `label`, its subspace."""

  VERSION = tfds.core.Version("1.0.0")
  BUILDER_CONFIGS = list(CONFIGS.values())

  def _info(self) -> tfds.core.DatasetInfo:
    config = self.builder_config
    vector = tfds.features.Tensor(
      shape=(config.width,),
      dtype=np.float32,
      encoding=tfds.features.Encoding.BYTES,
    )
    label = tfds.features.ClassLabel(num_classes=len(config.dims))
    return tfds.core.DatasetInfo(
      builder=self,
      description=__doc__,
      features=tfds.features.FeaturesDict({"vector": vector, "label": label}),
    )

  def _split_generators(self, dl_manager) -> dict[str, Iterator]:
    del dl_manager  # nothing to download
    return {split: self._generate_examples(split) for split in splits.MADE}

  def _generate_examples(self, split: str) -> Iterator[tuple[str, dict]]:
    config = self.builder_config
    rng = np.random.default_rng([2, splits.MADE.index(split)])
    counts = getattr(config, split)
    points, labels = molrg.draw(rng, bases(config.name), counts)
    points = points.astype(np.float32)
    for i, (point, label) in enumerate(zip(points, labels, strict=True)):
      yield f"{i:06d}", {"vector": point, "label": label}
