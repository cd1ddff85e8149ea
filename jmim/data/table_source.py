"""Tables of examples: CSV files of paths, folders of Parquet files.

    data.name=csv      <data_dir>/<split>.csv, columns path (or image) and label
    data.name=parquet  <data_dir>/<split>*.parquet, columns image and label

A path is relative to the folder of its file. Labels are numbers, or names: then
the classes are those of the split trained on (else of the file "train"), in
alphabetical order. An empty entry, or -1, is no label. An image of a Parquet
file is an encoded file, bytes or {"bytes", "path"} as the hub has them.
"""

import csv
import dataclasses
import importlib
import os
import pathlib
import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from jmim.core import errors
from jmim.data import labels
from jmim.data import paths
from jmim.data import splits

NAMES = ("csv", "parquet")
_PATHS = ("path", "image", "file", "file_name", "filename")
_LABELS = ("label", "class")
_NUMBER = re.compile(r"-?[0-9]+(\.0+)?")


@dataclasses.dataclass(frozen=True)
class Classes:
  """What labels of a split mean.

  Attributes:
    names: in the order of their numbers; (): labels are numbers.
    count: of classes; None: there are no labels.
  """

  names: tuple[str, ...] = ()
  count: int | None = None


class TableSource:
  """Examples that are rows of a table.

  Attributes:
    classes: names of the classes, where labels are names; else ().
    num_classes: how many, or None without labels.
    fault: why labels are no class ids; "": they are, or there are none.
  """

  def __init__(
    self,
    rows: Any,
    found: Sequence[Any] | None,
    names: Sequence[str],
    *,
    known: Classes,
    root: pathlib.Path,
  ):
    """Reads the labels, and no picture.

    Args:
      rows: `[i]` is the image of example i: bytes or a path.
      found: labels, one per row: numbers or names; None: there are none.
      names: what to call each row.
      known: classes of the split trained on, where it is another with labels.
      root: what paths are relative to.

    Raises:
      UserError: a class that the split trained on has not.
    """
    self._rows, self._names, self._root = rows, names, root
    self._labels, own, self.fault = _numbers(found, known, root)
    self.classes, self.num_classes = own.names, own.count

  def __len__(self) -> int:
    return len(self._names)

  def __getitem__(self, i: int) -> dict[str, Any]:
    value = self._rows[int(i)]
    if isinstance(value, dict):
      value = value.get("bytes") or value.get("path")
    if isinstance(value, str):
      value = paths.read(str(self._root / value))
    found = {"image": value}
    return found if self._labels is None else found | {"label": self._labels[i]}

  def labels(self) -> np.ndarray | None:
    """int64 [n], or None."""
    if self._labels is None or self.fault:
      return None
    return np.asarray(self._labels, np.int64)

  def name(self, i: int) -> str:
    """What to call example `i` in a message."""
    return self._names[i]

  def file(self, i: int) -> str:
    """Where picture `i` is; "": in the table itself."""
    value = self._rows[int(i)] if isinstance(self._rows, list) else ""
    return str(self._root / value) if value else ""

  def places(self) -> np.ndarray:
    """int64 [n]: where examples lie; see `splits.common`."""
    if isinstance(self._rows, list):  # of paths
      each = (os.path.realpath(self._root / path) for path in self._rows)
      return np.array([hash(path) for path in each], np.int64)
    return splits.places(self._names[0], within=np.arange(len(self)))


def _numbers(
  found: Sequence[Any] | None, known: Classes, root: pathlib.Path
) -> tuple[Any, Classes, str]:
  """(class ids, what they mean, why they are none) of labels, maybe names.

  Args:
    found: as they are written; None: there are none.
    known: classes of the split trained on.
    root: folder, for messages.

  Raises:
    UserError: a class that the split trained on has not.
  """
  if found is None:
    return None, Classes(), ""
  texts = ["" if x is None or x != x else str(x) for x in found]
  if known.names or not all(_NUMBER.fullmatch(x) for x in texts if x):
    return _of_names(texts, known, root)
  whole = [int(x.partition(".")[0]) if x else labels.UNLABELLED for x in texts]
  read = labels.read(np.array(whole))
  if read.fault:
    return read.values, Classes(), read.fault
  if known.count and (read.classes or 0) > known.count:
    raise _unknown([str(read.classes - 1)], [f"0 to {known.count - 1}"], root)
  count = read.classes and (known.count or read.classes)
  return read.values, Classes((), count), ""


def _of_names(
  texts: Sequence[str], known: Classes, root: pathlib.Path
) -> tuple[np.ndarray, Classes, str]:
  """The same of names, "" where there is none."""
  there = sorted({x for x in texts if x})
  names = known.names or tuple(there)
  unknown = sorted(set(there) - set(names))
  if known.count and not known.names:
    unknown, names = there, (f"0 to {known.count - 1}",)
  if unknown:
    raise _unknown(unknown, names, root)
  place = {name: i for i, name in enumerate(names)} | {"": labels.UNLABELLED}
  ids = np.array([place[x] for x in texts], np.int32)
  return ids, Classes(names, len(names) if there else None), ""


def _unknown(
  unknown: Sequence[str], names: Sequence[str], root: pathlib.Path
) -> errors.UserError:
  return errors.UserError(
    f"{root}: labels that the split trained on lacks: "
    f"{paths.printable(', '.join(unknown[:5]))}",
    f"classes {paths.printable(', '.join(names[:10]))}",
    "correct the labels, or train on a split that has them",
    "data.eval_split",
  )


def build(
  name: str,
  split: str,
  root: str,
  like: Any = None,
  trained_on: bool = False,
) -> TableSource:
  """A split of a table.

  Args:
    name: one of `NAMES`.
    split: the file's name without its ending; of Parquet its beginning.
    root: folder of the files.
    like: the split trained on, whose classes hold; None: the file "train",
      where there is one.
    trained_on: whether this is the split trained on: its own classes hold.

  Raises:
    UserError: no such file, no column of images in it, or a class that the
      split trained on has not.
  """
  folder = pathlib.Path(root)
  read = {"csv": _csv, "parquet": _parquet}[name]
  known = Classes()
  if like is not None:
    known = Classes(tuple(getattr(like, "classes", ())), like.num_classes)
  elif not trained_on and split != "train" and _files(folder, "train", name):
    _, found, _ = read(folder, "train")
    _, known, _ = _numbers(found, known, folder)
  rows, found, names = read(folder, split)
  return TableSource(rows, found, names, known=known, root=folder)


def _files(folder: pathlib.Path, split: str, kind: str) -> list[pathlib.Path]:
  pattern = f"{split}.csv" if kind == "csv" else f"{split}*.parquet"
  return sorted(folder.glob(pattern))


def _csv(
  folder: pathlib.Path, split: str
) -> tuple[list[str], list[str] | None, list[str]]:
  """(paths, labels, names of rows) of a file."""
  (path,) = _there(folder, split, "csv")
  with path.open(newline="", encoding="utf-8-sig") as file:
    try:
      table = csv.DictReader(file)
      head, every = table.fieldnames or (), list(table)
    except (ValueError, csv.Error) as e:
      seen = f"{path}: {errors.first_line(e)}"
      raise _wrong(seen, "a CSV file in UTF-8", "data.data_dir") from e
  image = _column(head, _PATHS, path)
  label = next((n for n in _LABELS if n in head), None)
  found = [row for row in every if row[image]]
  if not found:
    raise _wrong(f"{path} has no rows", "a row for each image", "data.data_dir")
  names = [f"{path.name}: {row[image]}" for row in found]
  written = [row[label] for row in found] if label else None
  return [row[image] for row in found], written, names


def _parquet(
  folder: pathlib.Path, split: str
) -> tuple["_Column", list[Any] | None, list[str]]:
  """(images, labels, names of rows) of the files of a split, in order."""
  try:
    parquet = importlib.import_module("pyarrow.parquet")
  except ImportError as e:
    raise _wrong(
      f"data.name='parquet' without pyarrow ({e})",
      "the package pyarrow: pip install 'jmim[parquet]'",
      "data.name",
    ) from e
  shards = _there(folder, split, "parquet")
  try:
    table = parquet.read_table(shards, memory_map=True)
  except ValueError as e:
    seen = f"{shards[0]}: {errors.first_line(e)}"
    raise _wrong(seen, "Parquet files of one kind", "data.data_dir") from e
  image = _column(table.column_names, ("image", "img", *_PATHS), folder)
  label = next((n for n in _LABELS if n in table.column_names), None)
  names = [f"{shards[0]}[{i}]" for i in range(table.num_rows)]
  written = table.column(label).to_pylist() if label else None
  return _Column(table.column(image)), written, names


class _Column:
  """A column of a table, read value by value."""

  def __init__(self, values: Any):
    self._values = values

  def __getitem__(self, i: int) -> Any:
    return self._values[i].as_py()


def _there(folder: pathlib.Path, split: str, kind: str) -> list[pathlib.Path]:
  found = _files(folder, split, kind)
  if not found:
    here = sorted(p.name for p in folder.glob(f"*.{kind}"))[:8]
    raise _wrong(
      f"no {split}{'' if kind == 'csv' else '*'}.{kind} in {folder}",
      f"a file for each split; here are {', '.join(here) or 'none'}",
      "data.train_split",
    )
  return found


def _column(
  columns: Sequence[str], wanted: Sequence[str], where: pathlib.Path
) -> str:
  for name in wanted:
    if name in columns:
      return name
  raise _wrong(
    f"{where} has the columns {', '.join(columns) or 'none'}",
    f"one of images: {', '.join(dict.fromkeys(wanted))}; and label",
    "data.data_dir",
  )


def _wrong(seen: str, expected: str, key: str) -> errors.UserError:
  return errors.UserError(seen, expected, "see docs/data.md", key)
