"""Data that are a Python object: `data.name=my_module.my_data`.

my_data is a dict of splits, {"train": ..., "test": ...}, or a function that
gets the name of a split and returns one (and data_dir, if its second parameter
is called that or has no default). A split is anything with `len` and `[i]`:

    dicts                      {"image": ..., "label": 3, ...}
    pairs (image, label)       map-style data sets of PyTorch and torchvision
    rows of Hugging Face       datasets.Dataset, columns image (or img), label

An image is a picture of Pillow, a uint8 array [h, w] or [h, w, c], an encoded
file as bytes, or the path of one. Augmentation is done by jmim: leave the
transforms of the data set out.
"""

import importlib
import inspect
import os
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import numpy as np

from jmim.core import errors
from jmim.data import formats
from jmim.data import given
from jmim.data import labels
from jmim.data import paths
from jmim.data import splits

_OTHER_NAMES = {"img": "image", "fine_label": "label"}
_KEY = "data.name"


def build(
  name: str, split: str, data_dir: str, like: Any = None
) -> "ObjectSource":
  """A split of an object.

  Args:
    name: "my_module.my_data".
    split: of it.
    data_dir: handed to a function that takes it.
    like: the split trained on, whose classes hold; None: there is none yet.

  Raises:
    UserError: no such module, object or split, one that is no sequence, or one
      with other classes than the split trained on.
  """
  found = _object(name)
  if isinstance(found, Mapping):
    if split not in found:
      raise _wrong(
        f"{name} has no split {split!r}", f"one of {[*found]}", split
      )
    rows = found[split]
  elif callable(found):
    rows = found(split, data_dir) if _takes_two(found) else found(split)
  else:
    seen = f"{name} is a {type(found).__name__}"
    raise _wrong(seen, "a dict of splits, or a function of the split's name")
  # One object under two names is one data set.
  place = id(rows) if isinstance(found, Mapping) else None
  return ObjectSource(rows, f"{name}[{split!r}]", like=like, place=place)


def _takes_two(function: Any) -> bool:
  """Whether it asks for a folder: by that name, or for want of a default."""
  try:
    parameters = [*inspect.signature(function).parameters.values()]
  except ValueError:  # of some that are written in C
    return False
  second = parameters[1] if len(parameters) > 1 else None
  if not second or second.kind not in (
    second.POSITIONAL_ONLY,
    second.POSITIONAL_OR_KEYWORD,
  ):
    return False
  return second.name == "data_dir" or second.default is second.empty


def _object(name: str) -> Any:
  module_name, _, attribute = name.rpartition(".")
  try:
    module = importlib.import_module(module_name)
  except ModuleNotFoundError as e:
    if e.name and not (module_name + ".").startswith(f"{e.name}."):
      raise  # something that the module itself imports
    raise _wrong(
      f"data.name={name!r}: no module {module_name}",
      "a module that Python finds from this folder, and an object in it; or "
      "the name of a data set",
    ) from e
  if not hasattr(module, attribute):
    raise _wrong(
      f"{module_name} has no {attribute}",
      "my_module.my_data: a dict of splits, or a function",
    )
  return getattr(module, attribute)


def _wrong(seen: str, expected: str, split: str = "") -> errors.UserError:
  key = "data.train_split" if split else _KEY
  return errors.UserError(seen, expected, "see docs/python.md", key)


def _other_classes(seen: str, classes: str) -> errors.UserError:
  return errors.UserError(
    seen,
    f"the classes of the split trained on: {classes}",
    "give all splits one list of classes, in one order",
    "data.eval_split",
  )


class ObjectSource:
  """Examples of anything with `len` and `[i]`.

  Attributes:
    num_classes: that of the split trained on; else by `classes`, else the
      largest label plus one where labels are known without reading pictures,
      else None.
    classes: names of the classes, where the object has them; else ().
    fault: why "label" holds no class ids; "": it does, or there is none.
  """

  def __init__(
    self,
    rows: Sequence[Any],
    origin: str,
    like: Any = None,
    place: int | None = None,
  ):
    """Looks at the first example and at the labels.

    Args:
      rows: the object.
      origin: what it is called in messages.
      like: the split trained on, if it is another.
      place: a number of the object; None: it is known by its origin.

    Raises:
      UserError: it has no length or no examples, or they are not such; or
        labels beyond the classes.
    """
    if not (hasattr(rows, "__len__") and hasattr(rows, "__getitem__")):
      raise _wrong(
        f"{origin} is a {type(rows).__name__}, without len or [i]",
        "a sequence: the order of a run is a function of its seed",
      )
    if not len(rows):
      raise _wrong(f"{origin} is empty", "at least one example")
    self._rows, self._origin = rows, origin
    self._place = origin if place is None else place
    try:
      first = self[0]
    except (OSError, formats.BadImage) as e:
      seen = f"{self.name(0)}: {errors.first_line(e)}"
      raise _wrong(seen, "an image that can be read") from e
    found = labels.read(_labels(rows)) if "label" in first else None
    known = found is not None and len(found.values)
    self._labels = found.values if known else None
    self.fault = found.fault if known else ""
    own = tuple(map(str, _classes(rows)))
    trained = tuple(getattr(like, "classes", ()))
    if own and trained and own != trained:
      raise _other_classes(
        f"{origin} has the classes {paths.some(own)}", paths.some(trained)
      )
    self.classes = trained or own
    count = len(self.classes) or (found.classes if known else None)
    if "label" in first:  # of a split without labels nothing is known
      count = getattr(like, "num_classes", None) or count
    self.num_classes = None if self.fault else count
    most = int(np.max(self._labels)) if known and not self.fault else -1
    if count and most >= count:
      raise _other_classes(
        f"{origin} has the label {most}", f"0 to {count - 1}"
      )

  def __len__(self) -> int:
    return len(self._rows)

  def __getitem__(self, i: int) -> dict[str, Any]:
    row = self._rows[int(i)]
    if isinstance(row, tuple | list):
      if len(row) > 2:
        raise _wrong(
          f"{self.name(i)} is a tuple of {len(row)}",
          "(image, label), or a dict that names what it holds",
        )
      row = dict(zip(("image", "label"), row, strict=False))
    if not isinstance(row, Mapping):
      row = {"image": row}
    return {
      _OTHER_NAMES.get(k, k): _entry(_OTHER_NAMES.get(k, k), v, self.name(i))
      for k, v in row.items()
      if v is not None
    }

  def labels(self) -> np.ndarray | None:
    """int64 [n], -1 for none; None: reading them means reading pictures."""
    if self.fault or self._labels is None:
      return None
    return np.asarray(self._labels, np.int64)

  def name(self, i: int) -> str:
    """What to call example `i` in a message."""
    return f"{self._origin}[{i}]"

  def places(self) -> np.ndarray:
    """int64 [n]: where examples lie; see `splits.common`."""
    return splits.places(self._place, within=np.arange(len(self)))


def _entry(name: str, value: Any, where: str) -> Any:
  """An entry of an example as the pipeline takes it."""
  if name in ("image", "low", "high"):
    try:
      (image,) = given.images(_stored(value, where))
    except OSError as e:
      if e.errno is not None:  # of the disk: the reader knows what to do
        raise
      raise formats.BadImage(errors.first_line(e)) from e  # Pillow's
    return image
  return np.asarray(value) if hasattr(value, "__array__") else value


def _stored(value: Any, where: str) -> Any:
  """An image; of Hugging Face's undecoded ones the file."""
  if isinstance(value, Mapping) and {"bytes", "path"} & value.keys():
    value = value.get("bytes") or value.get("path")
  if isinstance(value, str | os.PathLike):
    return paths.read(os.path.expanduser(value))
  array = np.asarray(value) if hasattr(value, "__array__") else None
  if array is not None and (
    array.dtype != np.uint8 or array.ndim not in (2, 3)
  ):
    raise _wrong(
      f"the image of {where}: {array.dtype}{list(array.shape)}",
      "a picture of Pillow, uint8 [h, w] or [h, w, c], bytes or a path: leave "
      "out transforms such as ToTensor, jmim augments itself",
    )
  return value


def _classes(rows: Any) -> Sequence[str]:
  """Names of classes, as torchvision (.classes) and Hugging Face have them."""
  features = getattr(rows, "features", None)
  if isinstance(features, Mapping):
    column = features.get("label") or features.get("fine_label")
    return getattr(column, "names", None) or ()
  found = getattr(rows, "classes", None)
  return found if isinstance(found, Sequence) else ()


def _labels(rows: Any) -> Sequence[int]:
  """All labels where no picture has to be read for them; else none."""
  names = getattr(rows, "column_names", None)
  if isinstance(names, list):
    column = next((n for n in ("label", "fine_label") if n in names), None)
    return rows[column] if column else ()
  for name in ("targets", "labels"):
    found = getattr(rows, name, None)
    if found is not None and not callable(found) and len(found) == len(rows):
      return found
  if isinstance(rows, list | tuple):  # in memory: looking costs nothing
    return [_label(row) for row in rows]
  return ()


def _label(row: Any) -> int:
  if isinstance(row, Mapping):
    label = row.get("label", labels.UNLABELLED)
    return labels.UNLABELLED if label is None else label
  return row[1] if isinstance(row, tuple | list) and len(row) > 1 else -1
