"""Small data sets of TFDS, written as its own builders do."""

import functools
import pathlib
from collections.abc import Sequence
from typing import Any

NAME, CLASSES = "small_things", ("cat", "Ünï", "a [x]")


def write_tfds(
  root: pathlib.Path, splits: dict[str, Sequence[dict[str, Any]]]
) -> None:
  """Writes splits of {"image": file, "label": class or -1, "words": texts}."""
  kind = _builder()
  kind.splits = splits
  kind(data_dir=root, file_format="array_record").download_and_prepare()


@functools.cache  # TFDS knows each name once
def _builder():
  import tensorflow_datasets as tfds

  class SmallThings(tfds.core.GeneratorBasedBuilder):
    VERSION = tfds.core.Version("1.0.0")
    splits = {}

    def _info(self):
      features = {
        "image": tfds.features.Image(shape=(None, None, None)),
        "label": tfds.features.ClassLabel(names=CLASSES),
        "words": tfds.features.Sequence(tfds.features.Text()),
      }
      return tfds.core.DatasetInfo(
        builder=self, features=tfds.features.FeaturesDict(features)
      )

    def _split_generators(self, dl_manager):
      return {name: enumerate(self.splits[name]) for name in self.splits}

    def _generate_examples(self):
      raise NotImplementedError

  assert SmallThings.name == NAME
  return SmallThings
