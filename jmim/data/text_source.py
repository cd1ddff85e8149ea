"""Text as sequences of tokens: bytes, characters, or ids made elsewhere.

    data.name = "text/byte:1024"     kind, and tokens per example

The texts of a split are joined and cut into pieces of that length; what is
left over is dropped. No example is stored twice, one file is mapped, not read.

    byte   DIR/<split>.txt, or all .txt below DIR/<split>; 256 tokens
    char   the same as UTF-8; the characters of the train split, sorted, are
           tokens 1, 2 ..., anything else is 0
    ids    DIR/<split>.npy, integers [n]: any tokenizer's (GPT-2's, say)
"""

import pathlib
import re
from typing import Any

import numpy as np

from jmim.core import errors
from jmim.core import npy
from jmim.data import paths
from jmim.data import splits

_NAME = re.compile(r"text/(byte|char|ids):(\d+)")
_UNKNOWN = "\N{REPLACEMENT CHARACTER}"


class TextSource:
  """Pieces of one long sequence of tokens.

  Attributes:
    num_classes: None; there are no labels.
    alphabet: character of each token; empty: they are bytes, or ids of a
      tokenizer that is not known here.
    kind: "byte", "char" or "ids".
    sequence: True; neighbours belong together.
  """

  num_classes = None
  sequence = True

  def __init__(
    self,
    kind: str,
    tokens: np.ndarray,
    length: int,
    where: str,
    alphabet: str = "",
  ):
    """Wraps [n] integers.

    Raises:
      UserError: they fill no example.
    """
    self.kind, self.alphabet = kind, alphabet
    self._tokens, self._length, self._where = tokens, length, where
    if len(tokens) < length:
      raise errors.UserError(
        f"{where}: {len(tokens)} tokens",
        f"at least the {length} of an example",
        "give more text, or shorter examples",
        "data.name",
      )

  def __len__(self) -> int:
    return len(self._tokens) // self._length

  def __getitem__(self, i: int) -> dict[str, Any]:
    start = i * self._length
    piece = np.asarray(self._tokens[start : start + self._length])
    tokens = piece.astype(np.int32)
    # What needs more bits, or is no whole number, stays to be refused.
    return {"tokens": tokens if (tokens == piece).all() else piece}

  def name(self, i: int) -> str:
    """The file and the position in it."""
    return f"{self._where}, tokens from {i * self._length}"

  def places(self) -> np.ndarray:
    """int64 [n]: where examples lie; see `splits.common`."""
    return splits.places(self._where, within=np.arange(len(self)))

  def text(self, tokens: np.ndarray) -> str:
    """Tokens [l] as a reader wants them; ids stay numbers."""
    if self.kind == "byte":
      return np.asarray(tokens, np.uint8).tobytes().decode(errors="replace")
    if self.kind == "char":
      return "".join(self.alphabet[t] for t in tokens)
    return " ".join(map(str, tokens))


def build(
  name: str, split: str, data_dir: str, alphabet: str = ""
) -> TextSource:
  """Opens a split.

  Args:
    name: "text/<kind>:<length>".
    split: name of a file without its ending, or of a folder.
    data_dir: folder.
    alphabet: of the split trained on; "": that of the name "train", if there
      is one, else of this split.

  Raises:
    UserError: another name, no such file, or too little in it.
  """
  match = _NAME.fullmatch(name)
  if not match or not int(match[2]):
    raise errors.UserError(
      f"data set {name!r}",
      "text/<byte, char or ids>:<tokens per example>",
      'write it like "text/byte:1024"',
      "data.name",
    )
  kind, length = match[1], int(match[2])
  root = pathlib.Path(data_dir)
  if kind == "ids":
    path = root / f"{split}.npy"
    if not path.is_file():
      raise _missing(path)
    return TextSource(kind, _ids(path), length, str(path))
  files = _files(root, split)
  where = str(files[0]) if len(files) == 1 else str(root / split)
  if kind == "byte":
    return TextSource(kind, _bytes(files), length, where)
  alphabet = alphabet or _alphabet(root, files)
  codes = np.frombuffer(_read(files).encode("utf-32-le"), np.uint32)
  known = np.frombuffer(alphabet[1:].encode("utf-32-le"), np.uint32)
  at = np.searchsorted(known, codes)
  is_known = at < len(known)
  is_known[is_known] = known[at[is_known]] == codes[is_known]
  return TextSource(
    kind,
    np.where(is_known, at + 1, 0),
    length=length,
    where=where,
    alphabet=alphabet,
  )


def _ids(path: pathlib.Path) -> np.ndarray:
  """Integers [n], mapped."""
  try:
    ids = np.load(path, mmap_mode="r")
    if not isinstance(ids, np.ndarray):
      raise ValueError("an archive of arrays")
    seen = f"{ids.dtype} {list(ids.shape)}"
  except npy.BROKEN as error:
    ids, seen = np.zeros(()), errors.first_line(error)
  if ids.ndim != 1 or ids.dtype.kind not in "iu":
    raise errors.UserError(
      f"{path}: {seen}",
      "np.save(path, ids), integers [n]",
      "write it again",
      "data.data_dir",
    )
  return ids


def _alphabet(root: pathlib.Path, files: list[pathlib.Path]) -> str:
  """Sorted characters of the train split, if there is one, after "unknown"."""
  try:
    files = _files(root, "train")
  except errors.UserError:
    pass  # a folder of one split under another name: its files characters
  return _UNKNOWN + "".join(sorted(set(_read(files))))


def _files(root: pathlib.Path, split: str) -> list[pathlib.Path]:
  """DIR/<split>.txt, or all .txt below DIR/<split>, sorted."""
  single = root / f"{split}.txt"
  if single.is_file():
    return [single]
  folder = root / split
  files = sorted(
    path
    for path in folder.rglob("*.txt")
    if path.is_file() and not _hidden(path, folder)
  )
  if not files:
    raise _missing(single)
  return files


def _hidden(path: pathlib.Path, folder: pathlib.Path) -> bool:
  """Whether a system has left it there: `._a.txt`, `__MACOSX/a.txt`."""
  parts = path.relative_to(folder).parts
  return any(part.startswith(".") or paths.is_system(part) for part in parts)


def _missing(path: pathlib.Path) -> errors.UserError:
  return errors.UserError(
    f"no file {path}",
    "a file, or for text a folder of .txt files",
    "correct the folder or the split",
    "data.train_split",
  )


def _bytes(files: list[pathlib.Path]) -> np.ndarray:
  """All files, with a new line between them; a single one is only mapped."""
  if len(files) == 1 and files[0].stat().st_size:
    return np.memmap(files[0], np.uint8, "r")
  return np.frombuffer(b"\n".join(p.read_bytes() for p in files), np.uint8)


def _read(files: list[pathlib.Path]) -> str:
  # Not as text, where each end of a line would become "\n".
  return b"\n".join(p.read_bytes() for p in files).decode(errors="replace")
