"""Runs a pickle that may do nothing but make plain data, within bounds.

Python's own unpickler in C takes memory by what a pickle says (a memo of 2^32
places, a string of 2^40 bytes) and hashes whatever is made a key, nested tuples
that share their parts for ever. The one in Python reads through `_Source` here,
and everything it does is counted.
"""

import pickle
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
from typing import Any
from typing import BinaryIO

# What the largest files of tensors need, times ten: some 40 reads a tensor.
MOST_READS = 2**21
MOST_BYTES = 2**26  # of names and numbers; tensors are not in the pickle
_LONGEST = 2**20  # bytes of one name or number
_PLAIN = (str, int, float, bool, bytes, type(None))
_LONGEST_KEY = 16  # plain values in a tuple that is a key


class Refused(ValueError):
  """A pickle that needs more than data, or one that makes no sense."""


class Sealed:
  """What a pickle may hold but not change (its BUILD opcode)."""

  __slots__ = ()

  def __setstate__(self, state):
    raise Refused("it changes objects of the reader")


class Function(Sealed):
  """A function of ours that a pickle may call."""

  __slots__ = ("_call",)

  def __init__(self, call: Callable[..., Any]):
    self._call = call

  def __call__(self, *arguments: Any) -> Any:
    """What the function returns."""
    return self._call(*arguments)


class Inert:
  """Stands for an object that holds no tensors: keeps and does nothing."""

  def __init__(self, *args: Any, **kwargs: Any):
    del args, kwargs

  def __setstate__(self, state):
    del state


class _Source:
  """A file that a pickle reads from; it ends where too much is asked for."""

  def __init__(self, file: BinaryIO, longest: int, most: int):
    self._file, self._longest, self._most = file, longest, most
    self._reads = self._bytes = 0

  def spend(self, reads: int, size: int = 0) -> None:
    """Counts work that is about to be done."""
    self._reads += reads
    self._bytes += size
    if self._reads > MOST_READS or self._bytes > self._most:
      raise Refused(
        f"it does more than {MOST_READS} things, or reads more than "
        f"{self._most} bytes, before there are data"
      )

  def read(self, size: int) -> bytes:
    if size > self._longest:
      raise Refused(f"a name or number of {size} bytes")
    self.spend(1, size)
    return self._file.read(size)

  def readline(self) -> bytes:
    line = self._file.readline(self._longest)
    self.spend(1, len(line))
    return line


class Unpickler(pickle._Unpickler):
  """Knows some names and nothing else."""

  dispatch = dict(pickle._Unpickler.dispatch)

  def __init__(
    self,
    file: BinaryIO,
    allowed: Mapping[str, Any],
    encoding: str = "utf-8",
    longest: int = _LONGEST,
    most: int = MOST_BYTES,
  ):
    """Prepares to run one pickle; `load` does.

    Args:
      file: at its beginning.
      allowed: everything that it may name.
      encoding: of the texts of Python 2, or "bytes".
      longest: bytes of one text or number.
      most: bytes of all of them.
    """
    self._source = _Source(file, longest, most)
    super().__init__(self._source, encoding=encoding)
    self._allowed = allowed

  def find_class(self, module: str, name: str) -> Any:
    """The stand-in of a global name; nothing is imported."""
    try:
      return self._allowed[f"{module}.{name}"]
    except KeyError:
      raise Refused(
        f"it asks for {module}.{name}, which no data need; nothing of it was "
        "run"
      ) from None

  def persistent_load(self, pid: Any) -> Any:
    """What lies elsewhere: nothing does."""
    raise Refused("an unknown reference")

  # --- what is done otherwise than by Python

  def _frame(self) -> None:
    """Frames say how to read ahead; nothing is read ahead here."""
    self.read(8)

  dispatch[pickle.FRAME[0]] = _frame

  def _reduce(self) -> None:
    """A call: of what it is given, copies may be made."""
    given = self.stack[-1]
    if type(given) is not tuple:
      raise Refused("a call without a tuple")
    self._source.spend(*_sizes(given))
    super().load_reduce()

  dispatch[pickle.REDUCE[0]] = _reduce

  def _build(self) -> None:
    """What is set on an object, which is copied too."""
    given = self.stack[-1]
    self._source.spend(*_sizes(given if type(given) is tuple else (given,)))
    super().load_build()

  dispatch[pickle.BUILD[0]] = _build

  def _setitem(self) -> None:
    check_keys(self.stack[-2:-1])
    super().load_setitem()

  dispatch[pickle.SETITEM[0]] = _setitem

  def _setitems(self) -> None:
    check_keys(self.stack[::2])
    super().load_setitems()

  dispatch[pickle.SETITEMS[0]] = _setitems

  def _dict(self) -> None:
    check_keys(self.stack[::2])
    super().load_dict()

  dispatch[pickle.DICT[0]] = _dict

  def _additems(self) -> None:
    check_keys(self.stack)
    super().load_additems()

  dispatch[pickle.ADDITEMS[0]] = _additems

  def _frozenset(self) -> None:
    check_keys(self.stack)
    super().load_frozenset()

  dispatch[pickle.FROZENSET[0]] = _frozenset

  def _refuse(self) -> None:
    """Operations of which files of data have none."""
    raise Refused("an operation that no data need")

  for _code in (
    *(pickle.BYTEARRAY8, pickle.NEXT_BUFFER, pickle.READONLY_BUFFER),
    *(pickle.EXT1, pickle.EXT2, pickle.EXT4),
    *(pickle.INST, pickle.OBJ),  # calls of Python 2, which nothing counts
  ):
    dispatch[_code[0]] = _refuse


def _sizes(things: Iterable[Any]) -> tuple[int, int]:
  """Of all that have one: (parts, bytes of texts)."""
  sizes = [0, 0]
  for thing in things:
    if hasattr(thing, "__len__"):
      sizes[isinstance(thing, str | bytes)] += len(thing)
  return sizes[0], sizes[1]


def check_keys(keys: Iterable[Any]) -> None:
  """Raises Refused unless keys are plain: hashing others may never end."""
  for key in keys:
    parts = key if type(key) is tuple else (key,)
    plain = all(
      type(part) in _PLAIN or isinstance(part, Sealed | Inert) for part in parts
    )
    if len(parts) > _LONGEST_KEY or not plain:
      raise Refused("a key that is no name or number")
