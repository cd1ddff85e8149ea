"""What data sets store beside images, and data sets other than the run's.

`dense`, `propagation` and `attributes` stand on it.
"""

from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import numpy as np

from jmim.core import errors
from jmim.data import sources
from jmim.evals.lib import context as contexts


def elsewhere(
  context: contexts.Context, name: str, data_dir: str
) -> contexts.Context:
  """A context on the splits "train" and "test" of another data set.

  Args:
    context: of the run.
    name: of the data set; "": the run's own, and nothing changes.
    data_dir: where it is; "": the cache.

  Raises:
    UserError: there is no such data set.
  """
  if not name:
    return context
  splits = {"train": "train", "eval": "test"}
  return context.on(
    {k: sources.build(name, split, data_dir) for k, split in splits.items()}
  )


def folder_of(source: Any) -> str:
  """data_dir of a source of TFDS, or of what it is made of; "": another's."""
  while source is not None:
    if folder := getattr(source, "data_dir", ""):
      return folder
    source = getattr(source, "source", None)
  return ""


def annotation(
  context: contexts.Context, split: str, index: Sequence[int], name: str
) -> np.ndarray:
  """What the data set stores under a name: [n, ...], of examples `index`.

  It is read as stored, on every host: images must be neither cropped nor
  resized if it is to fit them.

  Raises:
    UserError: the data set has nothing of that name.
  """
  source = context.sources[split]
  value(source[int(index[0])], name)
  return np.stack([np.asarray(source[int(i)][name]) for i in index])


def numbers(
  context: contexts.Context,
  split: str,
  index: Sequence[int],
  names: Mapping[str, str],
) -> dict[str, np.ndarray]:
  """Numbers that the data set stores: name -> [n, k], see `vector`.

  Args:
    context: of the run.
    split: "train" or "eval".
    index: n examples.
    names: of k numbers each -> key of the config that asks for it.

  Raises:
    UserError: the data set has nothing of a name, or no numbers.
  """
  source, rows = context.sources[split], {name: [] for name in names}
  for i in index:
    example = source[int(i)]
    for name, found in rows.items():
      found.append(vector(example, name, names[name]))
  return {name: np.stack(found) for name, found in rows.items()}


def vector(
  example: Mapping[str, Any], name: str, key: str = "evals.<name>.data"
) -> np.ndarray:
  """[k] numbers of one name: k = 1, or a vector, or all names within it.

  Args:
    example: as stored.
    name: of an entry; "attributes/Male": of one within another.
    key: of the config, for messages.

  Raises:
    UserError: there is none, or it is a text, say.
  """
  found = value(example, name, key)
  parts = found.values() if isinstance(found, Mapping) else [found]
  arrays = [np.asarray(part) for part in parts]
  if not arrays or any(array.dtype.kind not in "biuf" for array in arrays):
    raise errors.UserError(
      f"{name!r}, which the data set stores as {type(found).__name__}",
      "numbers",
      "choose another annotation",
      key,
    )
  return np.concatenate([array.ravel() for array in arrays])


def value(
  example: Mapping[str, Any], name: str, key: str = "evals.<name>.data"
) -> Any:
  """What an example has under a name; arguments as of `vector`.

  Raises:
    UserError: nothing.
  """
  found = example
  for part in name.split("/"):
    if not isinstance(found, Mapping) or part not in found:
      raise errors.UserError(
        f"no {name!r} in the data set",
        f"one of {', '.join(names(example))}",
        "choose another annotation or data set",
        key,
      )
    found = found[part]
  return found


def names(example: Mapping[str, Any]) -> list[str]:
  """All that an example has, with what is within it."""
  inner = {k: v for k, v in example.items() if isinstance(v, Mapping)}
  return [*example, *(f"{k}/{n}" for k, v in inner.items() for n in names(v))]


def check_lengths(query: int, gallery: int, key: str) -> None:
  """Raises UserError for ids of so many numbers that cannot be compared."""
  if query != gallery:
    raise errors.UserError(
      f"ids of {query} numbers of queries, of {gallery} in the gallery",
      "equally many, which can be compared",
      "name ids of one length",
      key,
    )


def as_one(query: np.ndarray, gallery: np.ndarray) -> tuple[np.ndarray, ...]:
  """Ids of several whole numbers, int64 [n, k] and [m, k], as one: [n], [m].

  Raises:
    UserError: they are of different lengths.
  """
  check_lengths(query.shape[1], gallery.shape[1], "evals.<name>.gallery_id")
  if query.shape[1] == 1:
    return query[:, 0], gallery[:, 0]
  both = np.concatenate([query, gallery])
  ids = np.unique(both, axis=0, return_inverse=True)[1].reshape(-1)
  return ids[: len(query)], ids[len(query) :]
