"""CIFAR-10 in which some channels of every patch are unpredictable noise.

A patch of 4 x 4 pixels has 48 channels. In `cifar10`, 12 of them, the same in
all patches of all images, are replaced by independent Gaussian noise of four
times the variance of the others; `cifar10_clean` is its control, in which none
is. Made of the `cifar10` that is prepared in the same data directory. Values
are standardised per colour and stored as 128 + 24 z, which leaves room for the
noise: read with mean 128 / 255 and std 24 / 255 they are z again.

The patches must stay where they are: crop, shift and flip nothing.

For part (b) of "How JEPA Avoids Noisy Features" (Littwin et al. 2024).
"""

import dataclasses
from collections.abc import Iterator

import numpy as np
import tensorflow_datasets as tfds

from jmim.data import decode
from jmim.data import encode
from jmim.data import sources
from jmim.data import splits
from jmim.data.procedural import drawing

PATCH, NOISY = 4, 12
DEVIATION = 2.0  # of the noise, in those of the image
ZERO, UNIT = 128, 24  # how z is stored
MEAN, STD = 128 / 255, 24 / 255  # to read it with

_SEED = 0
_COLOUR_MEAN = 255 * np.array([0.4914, 0.4822, 0.4465], np.float32)
_COLOUR_STD = 255 * np.array([0.2470, 0.2435, 0.2616], np.float32)


@dataclasses.dataclass(eq=False, kw_only=True)
class NoisyConfig(tfds.core.BuilderConfig):
  """What becomes of an image.

  Attributes:
    noisy: channels of a patch that are replaced, of 48.
    limit: examples of a split; 0: all.
  """

  noisy: int = NOISY
  limit: int = 0


class NoisyChannels(tfds.core.GeneratorBasedBuilder):
  """The builder; features `image` and `label`."""

  VERSION = tfds.core.Version("1.0.0")
  BUILDER_CONFIGS = [
    NoisyConfig(name="cifar10", description="12 of 48 channels are noise"),
    NoisyConfig(name="cifar10_clean", description="none is", noisy=0),
  ]
  MANUAL_DOWNLOAD_INSTRUCTIONS = "The TFDS data directory that has `cifar10`."

  def _info(self) -> tfds.core.DatasetInfo:
    return tfds.core.DatasetInfo(
      builder=self,
      description=__doc__,
      disable_shuffling=True,  # example i is that of `cifar10`
      features=tfds.features.FeaturesDict(
        {
          "image": tfds.features.Image(
            shape=(32, 32, 3), encoding_format="png"
          ),
          "label": tfds.features.ClassLabel(num_classes=10),
        }
      ),
    )

  def _split_generators(self, dl_manager) -> dict[str, Iterator]:
    root = str(dl_manager.manual_dir)
    return {s: self._generate_examples(s, root) for s in splits.MADE}

  def _generate_examples(
    self, split: str, root: str
  ) -> Iterator[tuple[int, dict]]:
    config = self.builder_config
    source = sources.build("cifar10", split, root)
    where = channels(config.noisy)
    for i in range(config.limit or len(source)):
      example = source[i]
      rng = np.random.default_rng([_SEED, splits.MADE.index(split), i])
      image = standardised(decode.decode(example["image"], 3))
      image = encode.png(stored(replaced(image, where, rng)))
      yield i, {"image": image, "label": int(example["label"])}


def channels(count: int) -> np.ndarray:
  """bool [4, 4, 3]: which channels of a patch are noise; always the same."""
  order = np.random.default_rng(_SEED).permutation(PATCH * PATCH * 3)
  return (order < count).reshape(PATCH, PATCH, 3)


def standardised(image: np.ndarray) -> np.ndarray:
  """float32 [h, w, 3] of mean 0 and variance 1 over CIFAR-10, of uint8."""
  return (image - _COLOUR_MEAN) / _COLOUR_STD


def replaced(
  image: np.ndarray, where: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
  """The image with noise of variance 4 in some channels of every patch.

  Args:
    image: float [h, w, 3], standardised, whole patches.
    where: bool [4, 4, 3].
    rng: consumed; as much whatever `where`.
  """
  noise = DEVIATION * rng.standard_normal(image.shape, np.float32)
  h, w, _ = image.shape
  return np.where(np.tile(where, (h // PATCH, w // PATCH, 1)), noise, image)


def stored(image: np.ndarray) -> np.ndarray:
  """uint8 of a standardised image, cut at -5.3 and 5.3."""
  return drawing.levels(ZERO + UNIT * image)
