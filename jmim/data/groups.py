"""Examples that share an id as one example: `data.group`, `data.members`.

A batch holds groups; each shows some of its examples, the members, chosen anew
in every epoch. Which ones, and their order, is drawn from (seed, epoch, group)
like all that is random about an example, so it depends on no host, worker or
step at which a run was taken up again.
"""

import dataclasses
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import numpy as np

from jmim.core import errors
from jmim.data import decode
from jmim.data import labels
from jmim.data import sources
from jmim.data import splits

Arrays = dict[str, np.ndarray]
_AT_ONCE = 1024  # examples, where ids have to be read


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Group(Mapping):
  """One group as an example: it holds what its members share, their id.

  Attributes:
    source: of the members.
    key: name of the id.
    shared: the id.
    index: int64 [k], its examples in the source.
  """

  source: sources.Source
  key: str
  shared: Any
  index: np.ndarray

  def __getitem__(self, name: str) -> Any:
    return {self.key: self.shared}[name]

  def __iter__(self) -> Iterator[str]:
    return iter((self.key,))

  def __len__(self) -> int:
    return 1

  def read(self, index: Sequence[int]) -> list[dict[str, Any]]:
    """Examples of the source, as stored."""
    return _read(self.source, index)


class Grouped:
  """A source of groups, in the order of their ids.

  Attributes:
    source: of the members.
    num_classes: that of the members if the id is their class, else None: then
      a group has a label for each of its members, and no class of its own.
    classes: names of the classes.
    fault: of the labels, see `labels`.
  """

  def __init__(self, source: sources.Source, key: str, members: int):
    """Finds the groups; reads ids unless the source knows them all.

    Args:
      source: at least one example.
      key: name of the id.
      members: that every group must have at least.

    Raises:
      UserError: no such id, or a group is too small.
    """
    self.source, self._key = source, key
    ids = _ids(source, key)
    known = np.arange(len(ids))
    if key == "label":
      known = np.flatnonzero(ids != labels.UNLABELLED)
    if not len(known):
      raise _no_id(f"no example with a {key}", key)
    order = known[np.argsort(ids[known], kind="stable")]
    self._ids, starts = np.unique(ids[order], return_index=True)
    self._members = np.split(order, starts[1:])
    counts = np.array([len(m) for m in self._members])
    if counts.min() < members:
      least = int(counts.argmin())
      raise errors.UserError(
        f"{counts[least]} example(s) of {key} {self._ids[least]}, the fewest "
        f"of {len(counts):,} groups",
        f"at least data.members={members} in every group",
        "lower data.members, or leave small groups out with data.keep",
        "data.members",
      )
    own = key == "label"
    self.num_classes = source.num_classes if own else None
    self.classes = getattr(source, "classes", ()) if own else ()
    self.fault = labels.fault(source)
    if hasattr(source, "places"):
      self.places = self._places

  def __len__(self) -> int:
    return len(self._ids)

  def __getitem__(self, i: int) -> Group:
    return Group(
      source=self.source,
      key=self._key,
      shared=self._ids[i],
      index=self._members[i],
    )

  def name(self, i: int) -> str:
    """The id, and the first of its members."""
    first = self.source.name(int(self._members[i][0]))
    return f"{self._key} {self._ids[i]} ({first}, ...)"

  def labels(self) -> np.ndarray | None:
    """int64 [n]: the classes of the groups, if their ids are that."""
    return self._ids.astype(np.int64) if self._key == "label" else None

  def _places(self) -> np.ndarray:
    """int64 [n]: where the first members lie; see `splits.common`."""
    return self.source.places()[[m[0] for m in self._members]]


def _ids(source: sources.Source, key: str) -> np.ndarray:
  """[n] whole numbers or texts: the ids of all examples."""
  ids = splits.labels_of(source) if key == "label" else None
  if ids is None:
    column = getattr(source, "column", None)
    ids = column and column(key)
  if ids is None:
    ids = []
    for start in range(0, len(source), _AT_ONCE):
      index = range(start, min(start + _AT_ONCE, len(source)))
      for i, example in zip(index, _read(source, index), strict=True):
        if key not in example:
          there = ", ".join(example)
          raise _no_id(f"{source.name(i)} with {there}", key)
        ids.append(example[key])
  try:
    ids = np.asarray(ids)
  except ValueError:  # of different lengths
    ids = np.zeros((len(source), 2))
  if ids.ndim != 1 or ids.dtype.kind not in "biuSU":
    raise _no_id(f"{key!r} of shape {ids.shape[1:]} and type {ids.dtype}", key)
  return ids


def _no_id(seen: str, key: str) -> errors.UserError:
  return errors.UserError(
    seen,
    f"{key!r} in every example: a whole number or a text that says which "
    "examples belong together",
    "name an id that the data set stores",
    "data.group",
  )


def _read(source: sources.Source, index: Sequence[int]) -> list[dict[str, Any]]:
  if hasattr(source, "__getitems__"):
    return source.__getitems__([int(i) for i in index])
  return [source[int(i)] for i in index]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Maker:
  """Makes groups of what is made of their members; see `views.Maker`.

  Attributes:
    make: of one example.
    key: name of the id: stored once, where all else is stored per member.
    members: of a group that are shown.
  """

  make: Callable[..., list[Arrays]]
  key: str
  members: int

  def __call__(
    self, group: Group, rngs: list[np.random.Generator], name: str
  ) -> list[Arrays]:
    """One dict of arrays [members, ...] per generator.

    Args:
      group: as from a `Grouped` source.
      rngs: one per slot that holds the group; consumed.
      name: of the group.

    Raises:
      BadImage: one of the members cannot be read.
      UserError: as `views.Maker`.
    """
    return [self._one(group, rng) for rng in rngs]

  def _one(self, group: Group, rng: np.random.Generator) -> Arrays:
    chosen = rng.choice(group.index, self.members, replace=False).tolist()
    made = []
    for i, example in zip(chosen, group.read(chosen), strict=True):
      name = group.source.name(i)
      try:
        made += self.make(example, [rng], name)
      except decode.BadImage as error:
        raise decode.BadImage(f"{name}: {error}") from error
    arrays = {k: [m.get(k) for m in made] for k in made[0]}
    together = {k: np.stack(x) for k, x in arrays.items() if _alike(x)}
    if self.key in together:
      together[self.key] = together[self.key][0]
    return together


def _alike(arrays: Sequence[np.ndarray | None]) -> bool:
  """Whether there are all of them, of one shape and type."""
  kinds = {x if x is None else (x.shape, x.dtype) for x in arrays}
  return None not in kinds and len(kinds) == 1
