"""Pairs of CIFAR-10 pictures and the exact flow from one to the other.

`images` are a source and a target; `flow` [32, 32, 2] says for each pixel of
the target by how many pixels (x, y) it lies elsewhere in the source, and
`flow_known` where that is inside of it. In seven of ten a flat or striped
square of 12 px is pasted into the source; `ambiguous` is 1 where the target
shows it. Noise of 0.05 lies on both. `affine` turns, scales and shifts;
`cifar10` bends as well, by a thin-plate spline. The class is that of the
picture; `image` is the target.

Made of the `cifar10` that is prepared in the same data directory: example i is
of its picture i, and a function of (config, split, i) beside. For DiffMatch.
"""

import dataclasses
from collections.abc import Iterator

import numpy as np
import tensorflow_datasets as tfds

from jmim.data import decode
from jmim.data import encode
from jmim.data import sources
from jmim.data import splits
from jmim.data.procedural import warps

SIDE = 32

_SEED = 0


@dataclasses.dataclass(eq=False, kw_only=True)
class WarpsConfig(tfds.core.BuilderConfig):
  """How pictures are warped, and how many there are.

  Attributes:
    bent: by a thin-plate spline, too.
    train: examples of the train split, the first of CIFAR-10's.
    test: of the test split.
  """

  bent: bool = True
  train: int = 8000
  test: int = 1000


class Warps(tfds.core.GeneratorBasedBuilder):
  """The builder; see the module for its features."""

  VERSION = tfds.core.Version("1.0.0")
  BUILDER_CONFIGS = [
    WarpsConfig(name="cifar10", description="affine and thin-plate warps"),
    WarpsConfig(name="affine", description="affine warps", bent=False),
  ]
  MANUAL_DOWNLOAD_INSTRUCTIONS = "The TFDS data directory that has `cifar10`."

  def _info(self) -> tfds.core.DatasetInfo:
    grid = (SIDE, SIDE)
    image = tfds.features.Image(shape=(*grid, 3), encoding_format="png")
    tensor = tfds.features.Tensor
    features = {
      "image": image,
      "images": tensor(shape=(2, *grid, 3), dtype=np.uint8),
      "flow": tensor(shape=(*grid, 2), dtype=np.float32),
      "flow_known": tensor(shape=grid, dtype=np.uint8),
      "ambiguous": tensor(shape=grid, dtype=np.uint8),
      "label": tfds.features.ClassLabel(num_classes=10),
    }
    return tfds.core.DatasetInfo(
      builder=self,
      description=__doc__,
      disable_shuffling=True,  # example i is that of `cifar10`
      features=tfds.features.FeaturesDict(features),
    )

  def _split_generators(self, dl_manager) -> dict[str, Iterator]:
    root = str(dl_manager.manual_dir)
    return {s: self._generate_examples(s, root) for s in splits.MADE}

  def _generate_examples(
    self, split: str, root: str
  ) -> Iterator[tuple[int, dict]]:
    config = self.builder_config
    source = sources.build("cifar10", split, root)
    for i in range(getattr(config, split)):
      example = source[i]
      picture = decode.decode(example["image"], 3)
      made = pair(config, split, i=i, picture=picture)
      yield i, made | {"label": int(example["label"])}


def pair(
  config: WarpsConfig, split: str, *, i: int, picture: np.ndarray
) -> dict:
  """What is stored of example i, but for its class.

  Args:
    config: of the builder.
    split: "train" or "test".
    i: number of the example.
    picture: uint8 [32, 32, 3] of CIFAR-10.
  """
  names = [c.name for c in Warps.BUILDER_CONFIGS]
  where = (names.index(config.name), splits.MADE.index(split), i)
  rng = np.random.default_rng([_SEED, *where])
  made = warps.pair(picture / 255, rng, config.bent)
  images = (255 * made["images"]).round().astype(np.uint8)
  return {
    "image": encode.png(images[1]),
    "images": images,
    "flow": made["flow"],
    "flow_known": made["known"].astype(np.uint8),
    "ambiguous": made["ambiguous"].astype(np.uint8),
  }
