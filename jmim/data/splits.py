"""Parts of a source: slices as TFDS writes them, and a share held out.

    train[:80%]   train[80%:]   train[100:200]   [-10%:]   train[:9]+train[20:]

Percentages are rounded to the nearest example, negative bounds count from the
end, and bounds beyond the examples are refused, all as TFDS does. Examples
that are sorted by class (`by_class`, folders) are cut so that every part has
its share of each class; others in the order they are stored in.
"""

import dataclasses
import hashlib
import os
import re
from collections.abc import Callable
from collections.abc import Sequence
from typing import Any

import numpy as np

from jmim.core import errors
from jmim.data import order

# Names of splits: of a run, what each is called in a data set that is made
# here, and what folders and shards are called elsewhere.
OF_RUN = ("train", "eval")
STORED = {"train": "train", "eval": "test"}
MADE = tuple(STORED.values())
USUAL = ("train", "val", "valid", "validation", "test")
_TERM = re.compile(r"([^\[\]+]*)\[([^\[\]:]*):([^\[\]:]*)\]")
_BOUND = re.compile(r"\s*(?:(-?\d+)|(-?\d+(?:\.\d+)?)\s*%)?\s*")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Split:
  """A split as it is written.

  Attributes:
    name: of the whole.
    slices: (first, end) bounds as text, "" where open; none: all of it.
  """

  name: str
  slices: tuple[tuple[str, str], ...] = ()

  def positions(self, n: int) -> np.ndarray:
    """int64 [m]: which of `n` positions the slices take, in their order.

    Raises:
      UserError: a bound is no number, or beyond `n`; nothing is left; or a
        position comes twice.
    """
    if not self.slices:
      return np.arange(n)
    ranges = [
      np.arange(_bound(low or "0", n), _bound(high or str(n), n))
      for low, high in self.slices
    ]
    found = np.concatenate(ranges)
    if not len(found) or len(np.unique(found)) < len(found):
      raise errors.UserError(
        f"{len(found)} examples in {_written(self)}, {len(np.unique(found))} "
        f"of them different, of {n}",
        "a slice with examples in it, none of them twice",
        "correct the slice",
        "data.train_split",
      )
    return found


def parse(text: str) -> Split:
  """Reads "name", "name[a:b]" or "name[a:b]+name[c:d]".

  Raises:
    UserError: brackets that are no slice, or slices of several splits.
  """
  if "[" not in text and "]" not in text:
    return Split(name=text)
  found = [_TERM.fullmatch(term.strip()) for term in text.split("+")]
  names = {match and match[1] for match in found}
  if None in names or len(names) > 1:
    raise errors.UserError(
      f"split {text!r}",
      "a name, or slices of one: train[:80%], train[100:200], "
      "train[:10%]+train[90%:]",
      "write it like one of these",
      "data.train_split",
    )
  slices = tuple((match[2], match[3]) for match in found)
  return Split(name=names.pop(), slices=slices)


def _written(split: Split) -> str:
  return "+".join(f"{split.name}[{low}:{high}]" for low, high in split.slices)


def _bound(text: str, n: int) -> int:
  """A bound as a position in [0, n]."""
  match = _BOUND.fullmatch(text)
  value = None
  if match and match[1]:
    value = int(match[1])
  elif match and match[2]:
    value = round(float(match[2]) * n / 100)
  if value is None or abs(value) > n:
    raise errors.UserError(
      f"the bound {text!r} of a slice of {n} examples",
      f"a whole number from -{n} to {n}, or a percentage: 80%",
      "correct the slice",
      "data.train_split",
    )
  return value + n if value < 0 else value


class Subset:
  """Some examples of a source.

  Attributes:
    source: the whole.
    index: int64 [n], which of its examples.
    num_classes: of the whole.
    classes: names of the classes of the whole; empty: not known.
    fault: of the labels of the whole, see `labels`.
    kept: of the list of examples that the whole was cut to, see `keep`.
  """

  def __init__(self, source: Any, index: np.ndarray):
    """Wraps a source; reads nothing."""
    index = np.asarray(index, np.int64)
    self.kept = getattr(source, "kept", "")
    if isinstance(source, Subset):
      source, index = source.source, source.index[index]
    self.source, self.index = source, index
    self.num_classes = source.num_classes
    self.classes = getattr(source, "classes", ())
    self.fault = getattr(source, "fault", "")
    if hasattr(source, "__getitems__"):
      self.__getitems__ = self._many

  def __len__(self) -> int:
    return len(self.index)

  def __getitem__(self, i: int) -> dict[str, Any]:
    return self.source[int(self.index[i])]

  def _many(self, indices: Sequence[int]) -> list[dict[str, Any]]:
    """Examples of many indices, at once."""
    inner = self.index[np.asarray(indices, np.int64)].tolist()
    return self.source.__getitems__(inner)

  def column(self, name: str) -> Any:
    """An entry of these examples at once; None: only reading tells."""
    column = getattr(self.source, "column", None)
    values = column and column(name)
    if values is None or isinstance(values, np.ndarray):
      return None if values is None else values[self.index]
    return [values[i] for i in self.index]

  def labels(self) -> np.ndarray | None:
    """int64 [n]: the labels of these examples; None: only reading tells."""
    found = labels_of(self.source)
    return None if found is None else found[self.index]

  def name(self, i: int) -> str:
    """The name in the whole."""
    return self.source.name(int(self.index[i]))

  def places(self) -> np.ndarray:
    """int64 [n]: where examples lie; see `common`."""
    return self.source.places()[self.index]


def whole(source: Any) -> Any:
  """What a source is a part of, else itself."""
  return source.source if isinstance(source, Subset) else source


def labels_of(source: Any) -> np.ndarray | None:
  """int64 [n]: the labels of all examples, if known without reading them."""
  if hasattr(source, "labels"):
    return source.labels()
  column = getattr(source, "column", None)
  array = np.asarray(column("label") if column else None)
  whole_numbers = array.ndim == 1 and array.dtype.kind in "iu"
  return array.astype(np.int64) if whole_numbers else None


def open(text: str, open_whole: Callable[[str], Any]) -> Any:
  """Opens a split, or the part of it that is asked for.

  Args:
    text: see `parse`.
    open_whole: name -> source.

  Raises:
    UserError: as `parse`, `Split.positions` and `open_whole`.
  """
  split = parse(text)
  source = open_whole(split.name)
  if not split.slices:
    return source
  n = len(source)
  index = split.positions(n)
  if getattr(source, "by_class", False):
    # Without this the first 80 % would hold classes that the rest lacks.
    index = np.sort(spread(labels_of(source), np.arange(n))[index])
  return Subset(source, index)


def spread(labels: np.ndarray, line: np.ndarray) -> np.ndarray:
  """`line` again, such that any stretch has its share of each class.

  Args:
    labels: int [n], by example.
    line: int64 [n], the examples, in the order to keep within each class.

  Returns:
    int64 [n].
  """
  grouped = line[np.argsort(labels[line], kind="stable")]
  ordered = labels[grouped]
  starts = np.searchsorted(ordered, ordered, side="left")
  counts = np.searchsorted(ordered, ordered, side="right") - starts
  share = (np.arange(len(line)) - starts + 0.5) / counts
  return grouped[np.lexsort((ordered, share))]


def hold_out(source: Any, share: float) -> tuple[Any, Any]:
  """Cuts a source in two.

  Which examples are held out does not depend on a seed, so that runs can be
  compared: those whose names have the smallest hashes (`keys`, folders), or a
  fixed random choice, in equal shares of all classes where these are known;
  of a sequence (text) the end.

  Args:
    source: at least two examples.
    share: in (0, 1), to be held out; rounded to whole examples, at least one.

  Returns:
    (what is left, what is held out), each in the order of the source.

  Raises:
    UserError: nothing would be left.
  """
  n = len(source)
  count = max(1, round(share * n))
  if count >= n:
    raise errors.UserError(
      f"data.eval_share={share} of {n} examples",
      "a share that leaves some to train on",
      "lower it, or give more examples",
      "data.eval_share",
    )
  line = _line(source)
  left, held = np.sort(line[count:]), np.sort(line[:count])
  return Subset(source, left), Subset(source, held)


def _line(source: Any) -> np.ndarray:
  """int64 [n]: the examples, the first to be held out in front."""
  n = len(source)
  if getattr(whole(source), "sequence", False):
    return np.arange(n)[::-1]
  keys = getattr(whole(source), "keys", None)
  if keys is None:
    line = order.permutation(n, 0, 0, np.arange(n))
  else:
    # A file that comes or goes leaves the others on their side.
    digest = lambda k: hashlib.blake2b(os.fsencode(k), digest_size=16).digest()
    index = getattr(source, "index", range(n))
    line = sorted(range(n), key=lambda i: digest(keys[index[i]]))
    line = np.array(line, np.int64)
  labels = labels_of(source)
  return line if labels is None else spread(labels, line)


def places(origin: str | int, within: np.ndarray) -> np.ndarray:
  """int64 [n]: numbers of this process that tell where examples lie.

  Args:
    origin: what they are part of: a path, or something else that is one.
    within: int [n], where in it.
  """
  if isinstance(origin, str) and "://" not in origin:
    origin = os.path.realpath(origin)
  # Sums wrap around; those of two origins meet once in 2**64 pairs.
  return np.array([hash(origin)], np.int64) + np.asarray(within, np.int64)


def common(one: Any, other: Any) -> int:
  """How many examples two sources share; 0 where it is not known."""
  if not (hasattr(one, "places") and hasattr(other, "places")):
    return 0
  return len(np.intersect1d(one.places(), other.places()))
