"""Reads TFDS data sets without TensorFlow, and prepares those jmim ships.

Data sets are found by their files, never by their code: the code of a data set
may import anything, and the files say all that reading needs. The exception are
the builders in jmim/data/builders, one data set per module, named like it: they
need no download and are prepared on first use.
"""

import difflib
import pathlib
from collections.abc import Callable
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from google.protobuf import json_format
from tensorflow_datasets.core import naming
from tensorflow_datasets.core import read_only_builder

from jmim.core import errors
from jmim.data import arrayrecord
from jmim.data import formats
from jmim.data import splits
from jmim.data import tfds_features
from jmim.data import tfds_prepare
from jmim.data import tfrecord

# What files of a data set that are damaged raise.
_BROKEN = (
  json_format.ParseError,
  ValueError,
  KeyError,
  TypeError,
  AttributeError,
  RecursionError,
)


class TfdsSource:
  """A split of a prepared data set; a `sources.Source`.

  Attributes:
    num_classes: of the feature "label", or None.
    classes: their names, or empty.
  """

  def __init__(
    self,
    data: Any,
    name: str,
    num_classes: int | None,
    classes: tuple[str, ...],
    files: Sequence[tuple[str, int, int]],
  ):
    """Wraps a TFDS data source.

    Args:
      data: the source.
      name: says which it is in messages.
      num_classes: of the feature "label".
      classes: their names, if they have some.
      files: (path, first record, number of records) it is made of.
    """
    self._data, self._name, self._files = data, name, files
    self.num_classes, self.classes = num_classes, classes

  def __len__(self) -> int:
    return len(self._data)

  def __getitem__(self, i: int) -> dict[str, Any]:
    try:
      (example,) = self._read(lambda: [self._data[i]])
    except formats.BadImage as error:
      raise formats.BadImage(f"{error}, in {self._file(i)}") from error
    return example

  def __getitems__(self, indices: Sequence[int]) -> list[dict[str, Any]]:
    """Examples of many indices, in one read per file."""
    return self._read(lambda: self._data.__getitems__(indices))

  def _read(
    self, read: Callable[[], list[dict[str, Any]]]
  ) -> list[dict[str, Any]]:
    """What is read; BadImage: it is damaged; OSError: the disk is."""
    try:
      examples = read()
    except (OSError, MemoryError, formats.BadImage):
      raise
    except Exception as error:
      if found := arrayrecord.of_disk(error):
        self._data = arrayrecord.reopened(self._data)
        raise found from error
      # Its reader checks hashes, and raises what C++ or protocol buffers do; as
      # nothing but reading happens inside, all the rest means damage.
      text = f"a damaged record ({errors.first_line(error)})"
      raise formats.BadImage(text) from error
    for example in examples:
      if all(value is None for value in example.values()):
        raise formats.BadImage("a record that is empty")
    return examples

  def _file(self, i: int) -> str:
    """Which file an example is in."""
    ends = np.cumsum([take for _, _, take in self._files])
    return self._files[int(np.searchsorted(ends, i, side="right"))][0]

  def name(self, i: int) -> str:
    """Data set, split and position within the split."""
    return f"{self._name}, example {i}"

  def places(self) -> np.ndarray:
    """int64 [n]: where examples lie; see `splits.common`."""
    parts = [
      splits.places(path, within=np.arange(skip, skip + take))
      for path, skip, take in self._files
    ]
    return np.concatenate(parts)


def build(
  name: str,
  split: str,
  root: pathlib.Path,
  cache: pathlib.Path,
  max_pixels: int | None = None,
  max_bad_shards: float = 0.0,
) -> TfdsSource | tfrecord.TfRecordSource:
  """Opens a data set that is prepared in `root`, or shipped.

  Args:
    name: `dataset[/config][:version]`.
    split: a TFDS split, possibly sliced or added.
    root: TFDS data directory.
    cache: folder that indices of TFRecord files are kept in.
    max_pixels: of the largest mask, map or frame that is decoded; None:
      `formats.MAX_PIXELS`.
    max_bad_shards: largest share of the files that may be left out.

  Returns:
    The source; images stay encoded.

  Raises:
    UserError: unknown or unprepared data set, unknown or empty split, a file
      that is not whole.
  """
  builder = _find(name, root)
  features = dict(builder.info.features.items())
  label = features.get("label")
  classes = {
    "num_classes": getattr(label, "num_classes", None),
    "classes": tuple(getattr(label, "names", ())),
  }
  full = f"{builder.info.full_name} {split}"
  try:
    if builder.info.file_format == tfds.core.FileFormat.TFRECORD:
      parts = _tfrecords(builder, split, name, root)
      return tfrecord.TfRecordSource(
        parts, full, cache=cache, max_bad_shards=max_bad_shards, **classes
      )
    decoders = tfds_features.decoders(
      builder.info.features, max_pixels or formats.MAX_PIXELS
    )
    data = builder.as_data_source(split=split, decoders=decoders)
    if not len(data):
      raise ValueError("it is empty")
    files = builder.info.splits[split].file_instructions
    if builder.info.file_format == tfds.core.FileFormat.ARRAY_RECORD:
      files = arrayrecord.whole(data, files, max_bad_shards)
  except NotImplementedError as error:
    raise _no_random_access(builder, name, root) from error
  except ValueError as error:
    if isinstance(error, errors.UserError):
      raise
    raise errors.UserError(
      f"split {split!r} of {name}: {str(error).splitlines()[0]}",
      f"one of {', '.join(builder.info.splits)}; or a part, as train[:80%]",
      "name one of them",
      "data.train_split",
    ) from error
  return TfdsSource(data, full, files=_places(files), **classes)


def _places(files: Sequence[Any]) -> list[tuple[str, int, int]]:
  """(path, first record, records) of file instructions."""
  return [(str(f.filename), f.skip, f.take) for f in files]


def _no_random_access(
  builder: tfds.core.DatasetBuilder, name: str, root: pathlib.Path
) -> errors.UserError:
  return errors.UserError(
    f"{builder.data_dir} is in a format without random access",
    "array_record",
    f"delete it, then: {_command(name, root)}",
    "data.data_dir",
  )


def _tfrecords(
  builder: tfds.core.DatasetBuilder, split: str, name: str, root: pathlib.Path
) -> list[tuple[str, int, int]]:
  """(path, first record, records) of the files of a split.

  Only features that are stored as they are used: encoded images, labels and
  other numbers. A data set with others (boxes, sequences) must be converted.
  """
  flat = (tfds.features.Image, tfds.features.ClassLabel, tfds.features.Text)
  features = builder.info.features.values()
  if not all(isinstance(f, flat) or _is_scalar(f) for f in features):
    raise _no_random_access(builder, name, root)
  files = _places(builder.info.splits[split].file_instructions)
  if not files:
    raise ValueError("it is empty")
  return files


def _is_scalar(feature: tfds.features.FeatureConnector) -> bool:
  return type(feature) in (tfds.features.Scalar, tfds.features.Tensor) and not (
    feature.shape
  )


def _find(name: str, root: pathlib.Path) -> tfds.core.DatasetBuilder:
  """A reader of the files of `name`, prepared first if it is shipped."""
  try:
    parsed, parts = naming.parse_builder_name_kwargs(name)
  except ValueError as error:
    raise _unknown(name, root) from error
  if parsed.name in tfds_prepare.shipped():
    name = tfds_prepare.prepare(parsed.name, parts, root)
  try:
    with tfds_features.only_known():
      return read_only_builder.builder_from_files(name, data_dir=root)
  except tfds.core.DatasetNotFoundError as error:
    known = parsed.name in _known() or parsed.name in _present(root)
    raise (_unprepared if known else _unknown)(name, root) from error
  except errors.UserError:  # a ValueError too
    raise
  except _BROKEN as error:
    raise errors.UserError(
      f"{name} cannot be opened: {errors.first_line(error)}",
      "the files of a data set of TFDS, dataset_info.json and features.json",
      "copy or prepare it again",
      "data.data_dir",
    ) from error


def _known() -> list[str]:
  return tfds_prepare.shipped() + tfds.list_builders(
    with_community_datasets=False
  )


def _present(root: pathlib.Path) -> list[str]:
  if not root.is_dir():
    return []
  return [path.name for path in root.iterdir() if path.name[0] != "."]


def _command(name: str, root: pathlib.Path) -> str:
  return f"tfds build {name} --data_dir={root} --file_format=array_record"


def _unknown(name: str, root: pathlib.Path) -> errors.UserError:
  base = name.split("/")[0].split(":")[0]
  # What is at hand comes first: the long list of TFDS would crowd it out.
  here = list(
    dict.fromkeys(["folder", *tfds_prepare.shipped(), *_present(root)])
  )
  near = difflib.get_close_matches(base, here)
  near += difflib.get_close_matches(base, set(_known()) - set(here))
  return errors.UserError(
    f"data set {name!r}",
    f"a known name; the nearest: {', '.join(near) or ', '.join(here)}",
    "correct the name, or prepare it with `tfds build` under data.data_dir",
    "data.name",
  )


def _unprepared(name: str, root: pathlib.Path) -> errors.UserError:
  base = root / name.split("/")[0].split(":")[0]
  here = [
    str(path.parent.relative_to(root))
    for path in sorted(base.rglob("features.json"))
  ]
  return errors.UserError(
    f"{name} is not in {root}" + ("" if root.is_dir() else " (no such folder)"),
    f"it prepared there; of that name lie there: {', '.join(here) or 'none'}",
    f"correct data.data_dir, or run: {_command(name, root)}",
    "data.data_dir",
  )
