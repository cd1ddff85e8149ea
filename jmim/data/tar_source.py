"""WebDataset shards: tar files of members `key.jpg`, `key.cls` and so on.

The shards are indexed once, by reading their headers; the index, some 40 bytes
per example, is kept beside other caches. After that every example is one or
two reads at a known place, in any order: no shuffle buffer, exact resume.
"""

import hashlib
import json
import os
import pathlib
import tarfile
from typing import Any

import numpy as np
from etils import epath

from jmim.core import errors

_IMAGES = (".jpg", ".jpeg", ".png", ".webp", ".bmp")
_LABELS = (".cls", ".cls.txt")


class TarSource:
  """Examples of all shards of one split, in the order of names and members.

  Attributes:
    num_classes: the largest label plus one, None without labels.
  """

  def __init__(self, folder: str, split: str, cache: pathlib.Path):
    """Finds the shards and indexes them, unless that was done before.

    Args:
      folder: holds `<split>*.tar`; a path on this machine, or remote
        (gs://, s3://) where etils knows how to read it.
      split: the beginning of the names of the shards.
      cache: folder that the index is kept in.

    Raises:
      UserError: no shards, or no images in them.
    """
    root = epath.Path(folder)
    self._shards = sorted(map(str, root.glob(f"{split}*.tar")))
    if not self._shards:
      raise errors.UserError(
        f"no {split}*.tar in {folder}",
        "WebDataset shards named after their split",
        "correct the folder or the split",
        "data.train_split",
      )
    self._table = _indexed(self._shards, cache)
    labels = self._table["label"]
    if not len(labels):
      raise errors.UserError(
        f"no member of {len(self._shards)} shards ends in {', '.join(_IMAGES)}",
        "images",
        "look at `tar tf` of the first shard",
        "data.data_dir",
      )
    self.num_classes = int(labels.max()) + 1 if labels.min() >= 0 else None

  def __len__(self) -> int:
    return len(self._table["label"])

  def __getitem__(self, i: int) -> dict[str, Any]:
    shard, start, size, label = (
      int(self._table[k][i]) for k in ("shard", "start", "size", "label")
    )
    with epath.Path(self._shards[shard]).open("rb") as file:
      file.seek(start)
      example: dict[str, Any] = {"image": file.read(size)}
    if self.num_classes is not None:
      example["label"] = label
    return example

  def name(self, i: int) -> str:
    """The shard, and where in it the image begins."""
    shard = self._shards[int(self._table["shard"][i])]
    return f"{shard}, byte {int(self._table['start'][i])}"


def _indexed(shards: list[str], cache: pathlib.Path) -> dict[str, np.ndarray]:
  """The index of the shards, from the cache if they have not changed."""
  stats = [epath.Path(shard).stat() for shard in shards]
  state = [[p, s.length, s.mtime] for p, s in zip(shards, stats, strict=True)]
  digest = hashlib.sha256(json.dumps(state).encode()).hexdigest()[:24]
  path = cache / f"tar-{digest}.npz"
  if not path.exists():
    rows = [row for i, p in enumerate(shards) for row in _index_one(i, p)]
    columns = np.array(rows, np.int64).reshape(-1, 4).T
    path.parent.mkdir(parents=True, exist_ok=True)
    # Renamed when complete: another process may be at it too.
    scratch = path.with_suffix(f".{os.getpid()}.npz")
    names = ("shard", "start", "size", "label")
    np.savez(scratch, **dict(zip(names, columns, strict=True)))
    scratch.rename(path)
  with np.load(path) as file:
    return dict(file)


def _index_one(number: int, path: str) -> list[tuple[int, int, int, int]]:
  """(shard, first byte, bytes, label or -1) of each image of one shard."""
  images, labels = {}, {}
  with epath.Path(path).open("rb") as file, tarfile.open(fileobj=file) as tar:
    for member in tar:
      folder, _, base = member.name.rpartition("/")
      stem, dot, kind = base.partition(".")
      key, kind = f"{folder}/{stem}", dot + kind.lower()
      if not member.isfile() or not stem:
        continue
      if kind in _IMAGES:
        images[key] = (member.offset_data, member.size)
      elif kind in _LABELS:
        labels[key] = int(tar.extractfile(member).read())
      elif kind == ".json":
        notes = json.loads(tar.extractfile(member).read())
        if isinstance(notes, dict) and isinstance(notes.get("label"), int):
          labels[key] = notes["label"]
  return [(number, *images[key], labels.get(key, -1)) for key in images]
