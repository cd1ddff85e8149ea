"""Handwritten digits, 1797 real 8 x 8 scans from scikit-learn; no download.

`plain` holds them as they are. `scattered` puts each, twice as large, at a
random place on a coloured background: small enough for a laptop, but no
longer solvable pixel by pixel, so that representations differ. `low` and `high`
are the scans of 0 to 4 and of 5 to 9: what a model that was trained on the one
is adapted to, with as many classes.

The split is by scan: no placement of a test digit is ever trained on.
"""

import dataclasses
from collections.abc import Iterator

import numpy as np
import tensorflow_datasets as tfds
from PIL import Image
from sklearn import datasets

from jmim.data import encode
from jmim.data import order
from jmim.data import splits
from jmim.data.procedural import drawing

_SCANS = 1797
_TRAIN_SCANS = 1397
_SEED = 0


@dataclasses.dataclass(eq=False, kw_only=True)
class DigitsConfig(tfds.core.BuilderConfig):
  """What becomes of a scan.

  Attributes:
    canvas: side of the images in pixels; 8 leaves the scan as it is, grey.
    train_placements: images made of each scan of the train split.
    test_placements: images made of each scan of the test split.
    digits: those that are kept; classes are counted from 0 in this order.
  """

  canvas: int = 8
  train_placements: int = 1
  test_placements: int = 1
  digits: tuple[int, ...] = tuple(range(10))


class Digits(tfds.core.GeneratorBasedBuilder):
  """The builder; features `image`, `label` and `source_id` (the scan)."""

  VERSION = tfds.core.Version("1.0.0")
  BUILDER_CONFIGS = [
    DigitsConfig(name="plain", description="8 x 8 grey, as scanned"),
    DigitsConfig(
      name="scattered",
      description="16 x 16 anywhere on 32 x 32 RGB",
      canvas=32,
      train_placements=8,
      test_placements=2,
    ),
    DigitsConfig(
      name="low", description="0 to 4, 8 x 8 grey", digits=(0, 1, 2, 3, 4)
    ),
    DigitsConfig(
      name="high", description="5 to 9, 8 x 8 grey", digits=(5, 6, 7, 8, 9)
    ),
  ]

  def _info(self) -> tfds.core.DatasetInfo:
    side = self.builder_config.canvas
    shape = (side, side, 1 if side == 8 else 3)
    return tfds.core.DatasetInfo(
      builder=self,
      description=__doc__,
      features=tfds.features.FeaturesDict(
        {
          "image": tfds.features.Image(shape=shape, encoding_format="png"),
          "label": self._label(),
          "source_id": np.int64,
        }
      ),
      supervised_keys=("image", "label"),
      homepage="https://archive.ics.uci.edu/dataset/80",
    )

  def _label(self) -> tfds.features.ClassLabel:
    """Classes without names where they are the digits themselves."""
    digits = self.builder_config.digits
    if digits == tuple(range(10)):
      return tfds.features.ClassLabel(num_classes=10)
    return tfds.features.ClassLabel(names=[str(digit) for digit in digits])

  def _split_generators(self, dl_manager) -> dict[str, Iterator]:
    del dl_manager  # nothing to download
    return {split: self._generate_examples(split) for split in splits.MADE}

  def _generate_examples(self, split: str) -> Iterator[tuple[str, dict]]:
    config = self.builder_config
    placements = getattr(config, f"{split}_placements")
    scans = datasets.load_digits()
    for source in source_ids(split):
      if scans.target[source] not in config.digits:
        continue
      for k in range(placements):
        # Values of the scans are 0 .. 16.
        image = (scans.images[source] * 255 / 16).round().astype(np.uint8)
        if config.canvas != 8:
          image = scatter(image, config.canvas, _rng(split, source, k))
        yield (
          f"{source:04d}_{k}",
          {
            "image": encode.png(image),
            "label": config.digits.index(scans.target[source]),
            "source_id": int(source),
          },
        )


def source_ids(split: str) -> np.ndarray:
  """The scans of a split: int64 [1397] for "train", [400] for "test"."""
  shuffled = order.permutation(_SCANS, _SEED, 0, np.arange(_SCANS))
  train = split == "train"
  return np.sort(shuffled[:_TRAIN_SCANS] if train else shuffled[_TRAIN_SCANS:])


def _rng(split: str, source: int, placement: int) -> np.random.Generator:
  return np.random.default_rng(
    [_SEED, splits.MADE.index(split), int(source), placement]
  )


def scatter(
  scan: np.ndarray, canvas: int, rng: np.random.Generator
) -> np.ndarray:
  """One digit, twice as large, somewhere on a dim coloured texture.

  Args:
    scan: uint8 [8, 8], bright on black.
    canvas: side of the result, at least 16 pixels.
    rng: consumed.

  Returns:
    uint8 [canvas, canvas, 3].
  """
  side = 2 * scan.shape[0]
  ink = np.asarray(
    Image.fromarray(scan).resize((side, side), Image.Resampling.BICUBIC)
  )
  alpha = ink[..., None] / np.float32(255)
  top, left = rng.integers(canvas - side + 1, size=2)
  image = _texture(canvas, rng)
  patch = image[top : top + side, left : left + side]
  # Near white, lightly tinted: always far brighter than what lies behind.
  patch += alpha * (rng.uniform(190, 255, 3).astype(np.float32) - patch)
  image += 4 * rng.standard_normal(image.shape, np.float32)
  return drawing.levels(image)


def _texture(canvas: int, rng: np.random.Generator) -> np.ndarray:
  """Dim colour clouds: float32 [canvas, canvas, 3], about 20 to 110."""
  coarse = rng.uniform(-25, 25, (4, 4, 3)) + rng.uniform(45, 85, 3)
  coarse = coarse.round().astype(np.uint8)
  size = (canvas, canvas)
  smooth = Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC)
  return np.asarray(smooth).astype(np.float32)
