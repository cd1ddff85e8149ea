"""Reads TFDS data sets without TensorFlow, and prepares those jmim ships.

Data sets are found by their files, never by their code: the code of a data set
may import anything, and the files say all that reading needs. The exception are
the builders in jmim/data/builders, one data set per module, named like it: they
need no download and are prepared on first use.
"""

import contextlib
import difflib
import importlib
import io
import logging
import os
import pathlib
import pkgutil
import tempfile
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from tensorflow_datasets.core import naming
from tensorflow_datasets.core import read_only_builder

from jmim.core import errors
from jmim.data import builders
from jmim.data import splits
from jmim.data import tfrecord


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
    return self._data[i]

  def __getitems__(self, indices: Sequence[int]) -> list[dict[str, Any]]:
    """Examples of many indices, in one read per file."""
    return self._data.__getitems__(indices)

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
  name: str, split: str, root: pathlib.Path, cache: pathlib.Path
) -> TfdsSource | tfrecord.TfRecordSource:
  """Opens a data set that is prepared in `root`, or shipped.

  Args:
    name: `dataset[/config][:version]`.
    split: a TFDS split, possibly sliced or added.
    root: TFDS data directory.
    cache: folder that indices of TFRecord files are kept in.

  Returns:
    The source; images stay encoded.

  Raises:
    UserError: unknown or unprepared data set, unknown or empty split.
  """
  builder = _find(name, root)
  features = dict(builder.info.features.items())
  encoded = isinstance(features.get("image"), tfds.features.Image)
  decoders = {"image": tfds.decode.SkipDecoding()} if encoded else None
  label = features.get("label")
  classes = {
    "num_classes": getattr(label, "num_classes", None),
    "classes": tuple(getattr(label, "names", ())),
  }
  full = f"{builder.info.full_name} {split}"
  try:
    if builder.info.file_format == tfds.core.FileFormat.TFRECORD:
      parts = _tfrecords(builder, split, name, root)
      return tfrecord.TfRecordSource(parts, full, cache=cache, **classes)
    data = builder.as_data_source(split=split, decoders=decoders)
    if not len(data):
      raise ValueError("it is empty")
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
  return TfdsSource(data, full, files=_files(builder, split), **classes)


def _files(
  builder: tfds.core.DatasetBuilder, split: str
) -> list[tuple[str, int, int]]:
  """(path, first record, records) of the files of a split."""
  files = builder.info.splits[split].file_instructions
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
  files = _files(builder, split)
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
  if parsed.name in _shipped():
    name = _prepare(parsed.name, parts, root)
  try:
    return read_only_builder.builder_from_files(name, data_dir=root)
  except tfds.core.DatasetNotFoundError as error:
    known = parsed.name in _known() or parsed.name in _present(root)
    raise (_unprepared if known else _unknown)(name, root) from error


def _shipped() -> list[str]:
  return [module.name for module in pkgutil.iter_modules(builders.__path__)]


def _known() -> list[str]:
  return _shipped() + tfds.list_builders(with_community_datasets=False)


def _present(root: pathlib.Path) -> list[str]:
  if not root.is_dir():
    return []
  return [path.name for path in root.iterdir() if path.name[0] != "."]


def _command(name: str, root: pathlib.Path) -> str:
  return f"tfds build {name} --data_dir={root} --file_format=array_record"


def _unknown(name: str, root: pathlib.Path) -> errors.UserError:
  base = name.split("/")[0].split(":")[0]
  # What is at hand comes first: the long list of TFDS would crowd it out.
  here = list(dict.fromkeys(["folder", *_shipped(), *_present(root)]))
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


def _prepare(base: str, parts: dict[str, str], root: pathlib.Path) -> str:
  """Writes a shipped data set into `root` unless it is there already.

  Args:
    base: name of the module in jmim/data/builders.
    parts: "config" (else the first one) and "version" (else that of the code)
      where the user gave them. Other versions may lie in `root`, but cannot be
      made.
    root: TFDS data directory, made if necessary.

  Returns:
    The full name. It has a version, so that no outdated data are read.
  """
  importlib.import_module(f"jmim.data.builders.{base}")
  configs = tfds.builder_cls(base).builder_configs
  config = parts.get("config")
  if config is not None and config not in configs:
    raise errors.UserError(
      f"config {config!r} of {base}",
      f"one of {', '.join(configs)}" if configs else "none: it has no configs",
      "name one of them after the slash",
      "data.name",
    )
  name = base + (f"/{config}" if config else "")
  builder = tfds.builder(name, data_dir=root)
  version = parts.get("version", str(builder.version))
  target = pathlib.Path(builder.data_dir)
  if version == str(builder.version) and not target.is_dir():
    logging.info("preparing %s in %s, once", name, root)
    _write(name, root, target)
  return f"{name}:{version}"


def _write(name: str, root: pathlib.Path, target: pathlib.Path) -> None:
  """Builds beside `target`, then renames: complete or not there at all."""
  try:
    root.mkdir(parents=True, exist_ok=True)
    _build_aside(name, root, target)
  except OSError as error:
    raise errors.UserError(
      f"{name} cannot be prepared in {root}: {error}",
      "a folder that can be written, with space left",
      'name another one, or "" for the cache',
      "data.data_dir",
    ) from error


def _build_aside(name: str, root: pathlib.Path, target: pathlib.Path) -> None:
  with tempfile.TemporaryDirectory(prefix=".preparing-", dir=root) as scratch:
    builder = tfds.builder(name, data_dir=scratch, file_format="array_record")
    # TFDS prints the scratch path as where the data are; errors still raise.
    mute = io.StringIO()
    with contextlib.redirect_stdout(mute), contextlib.redirect_stderr(mute):
      builder.download_and_prepare(
        download_config=tfds.download.DownloadConfig(
          try_download_gcs=False,
          manual_dir=root,  # where a builder finds data sets it is made of
        )
      )
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
      os.rename(builder.data_dir, target)
    except OSError:
      # Another process was first: it wrote the same.
      if not target.is_dir():
        raise
