"""Whether all hosts of a run see the same data and weights.

They have the same config, which may mean something else on each of them: a
folder that was copied in part, another `~/init.npz`. Each host would then train
on its own, without a word, or take another number of steps than the others.
"""

import functools
import hashlib
from collections.abc import Callable
from collections.abc import Mapping
from typing import Any

import numpy as np

from jmim.checkpoints import identity
from jmim.data import again
from jmim.data import combine
from jmim.data import splits
from jmim.parallel import hosts

# Examples whose names (all, of most data sets: a second), and whose contents,
# are compared.
_NAMES, _READ = 2**20, 3
_FIX = "give all hosts the same files: a disk they share, or whole copies"
# What an example raises that is broken; the pipeline will say so.
_BROKEN = (OSError, ValueError, LookupError)


def check_data(
  group: hosts.Group,
  sources: Mapping[str, Any],
  numbers: Mapping[str, int | str],
  networks: Callable[[], Mapping[str, str]],
) -> None:
  """Raises UserError, on all hosts, where one of them sees something else.

  Args:
    group: the processes of the run; alone there is nothing to compare.
    sources: of examples, by name.
    numbers: what follows from them: steps of the run, examples of an epoch,
      what makes tokens.
    networks: makes the hashes of those that are given, by name.
  """
  if group.count == 1:
    return
  values, keys = {}, {}
  for name, source in sources.items():
    for what, value in facts(source).items():
      what = f"{what} of data.{name}"
      values[what], keys[what] = value, "data.data_dir"
  for what, number in numbers.items():
    values[what] = str(number)
  for name, digest in networks().items():
    values[f"network {name}"] = digest
  group.agree("data", values, _FIX, keys)


def check_loaded(group: hosts.Group, loaded: Mapping[str, Any]) -> None:
  """The same for the arrays that a run starts from (`init_from`)."""
  if group.count == 1:
    return
  what, key = "weights to start from", "init_from.path"
  group.agree("init_from", {what: identity.digest(loaded)}, _FIX, {what: key})


def facts(source: Any) -> dict[str, str]:
  """What a source holds -> a number, or a hash, as text."""
  source = source.source if isinstance(source, combine.Cached) else source
  n, names, contents = len(source), hashlib.sha256(), hashlib.sha256()
  for i in _spread(n, _NAMES):
    names.update(source.name(i).encode() + b"\n")
  for i in _spread(n, _READ):
    try:
      _add(contents, again.attempt(functools.partial(source.__getitem__, i)))
    except _BROKEN as e:
      contents.update(type(e).__name__.encode())
  labels = splits.labels_of(source)
  return {
    "number of examples": str(n),
    "list of examples": names.hexdigest()[:16],
    "content of examples": contents.hexdigest()[:16],
    "list of classes": hosts.digest(repr(list(getattr(source, "classes", ())))),
    "labels": "" if labels is None else _hash(labels),
  }


def _hash(array: np.ndarray) -> str:
  """Of its bytes, without a copy: there may be 10^9 labels."""
  return hashlib.sha256(np.ascontiguousarray(array).data).hexdigest()[:16]


def _spread(n: int, most: int) -> list[int]:
  """At most so many of n indices, the first and the last among them."""
  return np.unique(np.linspace(0, n - 1, min(n, most)).astype(int)).tolist()


def _add(found: Any, value: Any) -> None:
  """Adds what an example holds, in whatever order, to a hash."""
  if isinstance(value, Mapping):
    for key in sorted(value):
      found.update(str(key).encode())
      _add(found, value[key])
  elif isinstance(value, list | tuple):
    for each in value:
      _add(found, each)
  elif isinstance(value, bytes):
    found.update(value)
  else:
    array = np.asarray(value)
    found.update(f"{array.dtype} {array.shape}".encode())
    if array.dtype != object:  # whose bytes are addresses
      found.update(array.tobytes())
