"""WebDataset shards: tar files of members `key.jpg`, `key.cls` and so on.

The shards are indexed once, by reading their headers; the index, 24 bytes per
example, is kept beside other caches and mapped, as is that of each shard until
all are read. After that every example is
one or two reads at a known place, in any order: no shuffle buffer, exact
resume.
"""

import collections
import logging
import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from etils import epath

from jmim.core import errors
from jmim.data import index_cache
from jmim.data import paths
from jmim.data import shards
from jmim.data import splits
from jmim.data import tar_index
from jmim.data import threads

_MISSING = -1  # in the index, in place of the number of a label
_ONE = "tarshard1"  # kind of index of one shard


class TarSource:
  """Examples of all shards of one split, in the order of names and members.

  An image without a label, among images with one, has the label -1.

  Attributes:
    classes: names, those of the training split, sorted; empty if labels are
      numbers.
    num_classes: how many, or the largest label plus one; None without labels.
  """

  def __init__(
    self,
    folder: str,
    split: str,
    cache: pathlib.Path,
    classes: Sequence[str] | None = None,
    trained_on: bool = False,
    max_bad_shards: float = 0.0,
  ):
    """Finds the shards and indexes them, unless that was done before.

    Args:
      folder: holds `<split>*.tar`; a path on this machine, or remote
        (gs://, s3://) where etils knows how to read it.
      split: the beginning of the names of the shards.
      cache: folder that the index is kept in.
      classes: of the split trained on; None: of the shards "train*.tar", if
        there are any, else of those that are read.
      trained_on: whether this is that split: its own classes hold.
      max_bad_shards: largest share of the shards that may be left out.

    Raises:
      UserError: no shards, no images in them, or shards that cannot be read;
        numbers beside names of classes; a class that `classes` lacks.
    """
    self._shards = _find(folder, split)
    if not self._shards:
      raise errors.UserError(
        f"no {split}*.tar in {folder}",
        "WebDataset shards named after their split",
        "correct the folder or the split",
        "data.train_split",
      )
    self._table = _indexed(self._shards, cache, max_bad_shards)
    broken = self._table["broken"].tolist()
    shards.say(broken, len(self._shards), max_bad_shards)
    if left_out := str(self._table["left_out"]):
      logging.warning("%s, %s: left out: %s", folder, split, left_out)
    if not len(self):
      raise errors.UserError(
        f"no member of {len(self._shards)} shards ends in "
        + ", ".join(f".{kind}" for kind in paths.PICTURES)
        + (f"; left out: {left_out}" if left_out else ""),
        "images",
        "look at `tar tf` of the first shard",
        "data.data_dir",
      )
    self.classes: tuple[str, ...] = ()
    self.num_classes = self._labels = None
    if len(self._table["names"]):
      if classes is None and not trained_on:
        classes = _elsewhere(folder, split, cache, max_bad_shards)
      self._read_labels(classes or ())
      self._say_missing()

  def _read_labels(self, classes: Sequence[str]) -> None:
    """Numbers of the labels: as stored, or of names in a list of classes."""
    names = self._table["names"].tolist()
    if not classes and _all_numbers(names):
      values = [int(name) for name in names]
      if not -1 <= min(values) <= max(values) < 2**31 - 1:
        raise errors.UserError(
          f"{self._shards[0]} and others: labels from {min(values)} to "
          f"{max(values)}",
          "numbers of classes: 0, 1 ...; -1: no label",
          "build the shards again",
          "data.data_dir",
        )
      # Labels of -1 alone: stored, but of no class.
      self.num_classes = max(values) + 1 if max(values) >= 0 else None
    else:
      self.classes = tuple(classes) or tuple(names)
      self._check_names(names)
      numbers = {name: i for i, name in enumerate(self.classes)}
      values = [numbers[name] for name in names]
      self.num_classes = len(self.classes)
    if self.num_classes:
      # The last one is for `_MISSING`.
      self._labels = np.array([*values, -1], np.int64)

  def _check_names(self, names: Sequence[str]) -> None:
    numbers = [name for name in names if tar_index.is_number(name)]
    if unknown := [name for name in names if name not in set(self.classes)]:
      raise errors.UserError(
        f"{self._shards[0]} and others have {len(unknown)} classes that the "
        f"split trained on has not: {paths.some(unknown)}",
        f"some of its {len(self.classes)} classes: {paths.some(self.classes)}",
        "build the shards again",
        "data.eval_split",
      )
    if numbers and len(numbers) < len(names):
      word = next(name for name in names if name not in numbers)
      raise errors.UserError(
        f"{self._shards[0]} and others: the labels {numbers[0]!r} and {word!r}",
        "numbers, or names of classes",
        "build the shards again",
        "data.data_dir",
      )

  def _say_missing(self) -> None:
    missing = np.flatnonzero(self._table["label"] == _MISSING)
    if len(missing):
      names = [self.name(int(i)) for i in missing]
      logging.warning(
        "%d of %d images have no label: %s",
        len(names),
        len(self),
        paths.some(names),
      )

  def __len__(self) -> int:
    return len(self._table["label"])

  def __getitem__(self, i: int) -> dict[str, Any]:
    shard, start, size = (
      int(self._table[k][i]) for k in ("shard", "start", "size")
    )
    with epath.Path(self._shards[shard]).open("rb") as file:
      file.seek(start)
      example: dict[str, Any] = {"image": file.read(size)}
    if self._labels is not None:
      example["label"] = int(self._labels[self._table["label"][i]])
    return example

  def labels(self) -> np.ndarray | None:
    """int64 [n]: the labels of all examples, -1 for none; None: no labels."""
    return None if self._labels is None else self._labels[self._table["label"]]

  def name(self, i: int) -> str:
    """The shard, and where in it the image begins."""
    shard = self._shards[int(self._table["shard"][i])]
    return f"{shard}, byte {int(self._table['start'][i])}"

  def places(self) -> np.ndarray:
    """int64 [n]: where examples lie; see `splits.common`."""
    first = lambda path: splits.places(path, within=np.zeros(1))
    found = threads.each(self._shards, first)
    return np.concatenate(found)[self._table["shard"]] + self._table["start"]


def _find(folder: str, split: str) -> list[str]:
  """Sorted paths of `<split>*.tar`, whatever characters are in them."""
  root = epath.Path(folder)
  if not root.is_dir():
    raise paths.missing(folder)
  return sorted(
    str(path)
    for path in root.iterdir()
    if path.name.startswith(split) and path.name.endswith(".tar")
  )


def _all_numbers(names: Sequence[str]) -> bool:
  return all(tar_index.is_number(name) for name in names)


def _elsewhere(
  folder: str, split: str, cache: pathlib.Path, share: float
) -> Sequence[str]:
  """Names of the classes of "train*.tar", if there are such shards."""
  found = [] if split.startswith("train") else _find(folder, "train")
  names = _indexed(found, cache, share)["names"].tolist() if found else []
  return () if _all_numbers(names) else names


def _indexed(
  files: list[str], cache: pathlib.Path, share: float
) -> dict[str, np.ndarray]:
  """The index of shards, of which a share may be left out.

  Returns:
    int64 [n] "start", "size"; int32 [n] "shard", "label" (number of its name in
    "names", or _MISSING); "names": sorted texts of the labels; "left_out": a
    text; "broken": what is wrong with the shards that are left out.
  """
  made = []

  def make() -> dict[str, np.ndarray]:
    made.append(_index(files, cache, share))
    return made[0]

  # The number is that of this form.
  kind = "tar5some" if share else "tar5"
  table = index_cache.load(cache, kind, files, make)
  if made:  # what it was made of is in it
    threads.each(files, lambda path: index_cache.drop(cache, _ONE, [path]))
  return table


def _index(
  files: list[str], cache: pathlib.Path, share: float
) -> dict[str, np.ndarray]:
  found = shards.each(files, lambda path: _columns(path, cache), share)
  kept = [i for i, one in enumerate(found) if not shards.broken([one])]
  read = [found[i] for i in kept]
  names = sorted({name for one in read for name in one["names"].tolist()})
  numbers = {name: i for i, name in enumerate(names)}
  # Of each shard: the number of its n-th name; the last is for `_MISSING`.
  tables = [
    np.array([*(numbers[n] for n in one["names"].tolist()), _MISSING], np.int32)
    for one in read
  ]
  left_out: collections.Counter[str] = collections.Counter()
  for one in read:
    kinds, counts = one["kinds"].tolist(), one["counts"].tolist()
    left_out.update(dict(zip(kinds, counts, strict=True)))
  told = ", ".join(f"{n} {kind}" for kind, n in sorted(left_out.items()))
  sizes = [len(one["label"]) for one in read]
  return {
    "shard": np.repeat(np.array(kept, np.int32), sizes),
    "start": np.concatenate([one["start"] for one in read]),
    "size": np.concatenate([one["size"] for one in read]),
    "label": np.concatenate(
      [t[one["label"]] for t, one in zip(tables, read, strict=True)]
    ),
    "names": np.array(names, str),
    "left_out": np.array(told),
    "broken": np.array(shards.broken(found), str),
  }


def _columns(path: str, cache: pathlib.Path) -> dict[str, np.ndarray]:
  """A shard's images as arrays, which take a tenth of its rows.

  They are kept while the other shards are read: a pass that ends before its
  time, of a day with a slow disk, goes on where it was.

  Returns:
    int64 [n] "start", "size"; int32 [n] "label": a place in "names", or
    _MISSING; texts "kinds" of what is left out, int64 "counts" of it.
  """
  table = index_cache.load(cache, _ONE, [path], lambda: _read(path))
  # Copied: another process may drop the file that they lie in.
  return {name: np.array(x) for name, x in table.items()}


def _read(path: str) -> dict[str, np.ndarray]:
  shard = tar_index.read(path)
  places: dict[str | None, int] = {None: _MISSING}
  for *_, label in shard.rows:
    places.setdefault(label, len(places) - 1)
  rows = [(start, size, places[label]) for start, size, label in shard.rows]
  start, size, label = np.array(rows, np.int64).reshape(-1, 3).T
  return {
    "start": start,
    "size": size,
    "label": label.astype(np.int32),
    "names": np.array([name for name in places if name is not None], str),
    "kinds": np.array([*shard.left_out], str),
    "counts": np.array([*shard.left_out.values()], np.int64),
  }
