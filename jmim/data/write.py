"""Data sets of our own making: ArrayRecord files that TFDS reads.

What frozen networks make of examples, stored once for runs that train on it.
"""

import contextlib
import io
import pathlib
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from tensorflow_datasets.core import registered

from jmim.core import errors
from jmim.data import encode

Examples = Iterator[dict[str, Any]]


def tensor(shape: tuple[int, ...], dtype: str) -> tfds.features.Tensor:
  """The feature of an array."""
  return tfds.features.Tensor(
    shape=shape,
    dtype=np.dtype(dtype),
    encoding=tfds.features.Encoding.BYTES,
  )


def label(classes: int) -> tfds.features.ClassLabel:
  """The feature of a class."""
  return tfds.features.ClassLabel(num_classes=classes)


def features_of(
  rows: Mapping[str, np.ndarray], pictures: tuple[str, ...], classes: int
) -> dict[str, Any]:
  """Features of what some arrays [n, ...] hold.

  Args:
    rows: name -> array.
    pictures: those that are stored as PNG: uint8 [n, h, w, 1 or 3].
    classes: of "label"; 0: it is a number.
  """
  made = {
    name: tensor(x.shape[1:], str(x.dtype))
    if x.ndim > 1
    else np.dtype(x.dtype).type
    for name, x in rows.items()
  }
  for name in pictures:
    made[name] = tfds.features.Image(
      shape=rows[name].shape[1:], encoding_format="png"
    )
  if classes and "label" in made:
    made["label"] = label(classes)
  return made


def example(
  rows: Mapping[str, np.ndarray], i: int, pictures: tuple[str, ...] = ()
) -> dict[str, Any]:
  """Example i of arrays [n, ...], as `dataset` takes it."""
  one = {name: x[i] for name, x in rows.items()}
  for name in pictures:
    image = one[name]
    one[name] = encode.png(image[..., 0] if image.shape[-1] == 1 else image)
  return one


def folder_of(name: str, out: str | pathlib.Path) -> pathlib.Path:
  """Where the data set of a name lies."""
  return pathlib.Path(out) / name / "1.0.0"


def dataset(
  name: str,
  out: pathlib.Path,
  *,
  features: Mapping[str, Any],
  description: str,
  splits: Callable[[], dict[str, Examples]],
  key: str = "--name",
) -> pathlib.Path:
  """Writes a data set.

  Args:
    name: of the data set.
    out: data directory of TFDS.
    features: name -> feature.
    description: what it was made of.
    splits: () -> split -> its examples.
    key: flag or config key of the name, for messages.

  Returns:
    its folder.

  Raises:
    UserError: it is there already.
  """
  keyed = lambda examples: (
    (f"{number:012d}", one) for number, one in enumerate(examples)
  )
  made = lambda: {split: keyed(found) for split, found in splits().items()}
  builder = _builder(name, features, description, made)(
    data_dir=out, file_format="array_record"
  )
  folder = pathlib.Path(builder.data_dir)
  if folder.exists():
    raise errors.UserError(
      f"{folder} is there",
      "a new data set",
      f"remove it, or choose another {key}",
      key,
    )
  _write(builder)
  return folder


def _builder(
  name: str,
  features: Mapping[str, Any],
  description: str,
  splits: Callable[[], dict[str, Iterator[tuple[str, dict[str, Any]]]]],
) -> type[tfds.core.GeneratorBasedBuilder]:
  """A data set of TFDS whose examples are made by iterators."""
  with registered.skip_registration():

    class Made(tfds.core.GeneratorBasedBuilder):
      VERSION = tfds.core.Version("1.0.0")

      def _info(self):
        return tfds.core.DatasetInfo(
          builder=self,
          features=tfds.features.FeaturesDict(dict(features)),
          description=description,
        )

      def _split_generators(self, dl_manager):
        del dl_manager
        return splits()

      def _generate_examples(self):
        raise AssertionError("splits are generators")

  Made.name = name
  return Made


def _write(builder: tfds.core.DatasetBuilder) -> None:
  """Makes the files; TFDS would print progress bars and a path of its own."""
  mute = io.StringIO()
  with contextlib.redirect_stdout(mute), contextlib.redirect_stderr(mute):
    builder.download_and_prepare(
      download_config=tfds.download.DownloadConfig(try_download_gcs=False)
    )
