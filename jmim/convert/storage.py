"""Arrays as a PyTorch file describes them: views of flat storages.

What a pickle can build is made here and checked: a view must lie inside of its
storage. Nothing is read before `Tensor.read`, and nothing can be changed.
"""

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from jmim.core import unpickler

_MOST_AXES = 64


@dataclasses.dataclass(frozen=True)
class Kind(unpickler.Sealed):
  """Element type of a storage or of a tensor."""

  dtype: Any


@dataclasses.dataclass(frozen=True)
class Storage(unpickler.Sealed):
  """A flat array in the file.

  Attributes:
    dtype: type of an element.
    numel: number of elements.
    read: returns the bytes.
  """

  dtype: Any
  numel: int
  read: Callable[[], bytes]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Tensor(unpickler.Sealed):
  """A strided view of a storage; offset and stride in elements."""

  storage: Storage
  dtype: Any
  offset: int
  shape: tuple[int, ...]
  stride: tuple[int, ...]

  def read(self) -> np.ndarray:
    """The array: a view of the storage if it is all of it, else a copy."""
    flat = np.frombuffer(self.storage.read(), self.dtype)
    size = np.dtype(self.dtype).itemsize
    view = np.lib.stride_tricks.as_strided(
      flat[self.offset :], self.shape, [s * size for s in self.stride]
    )
    return view if view.size == flat.size else view.copy()


def rebuild(
  storage: Any, offset: Any, shape: Any, stride: Any, *rest: Any
) -> Tensor:
  """What torch._utils._rebuild_tensor and its _v2 make.

  Raises:
    Refused: no storage, or a view that is not inside of it.
  """
  del rest
  if not isinstance(storage, Storage):
    raise unpickler.Refused("a tensor without a storage")
  return _inside(
    Tensor(
      storage=storage,
      dtype=storage.dtype,
      offset=offset,
      shape=shape,
      stride=stride,
    )
  )


def rebuild_typed(
  storage: Any, offset: Any, shape: Any, stride: Any, *rest: Any
) -> Tensor:
  """What torch._utils._rebuild_tensor_v3 makes, of a storage without a type.

  Raises:
    Refused: see `rebuild`.
  """
  _, _, kind, *_ = rest  # requires_grad and hooks come before
  if not isinstance(storage, Storage) or not isinstance(kind, Kind):
    raise unpickler.Refused("a tensor without a storage or type")
  return _inside(
    Tensor(
      storage=storage,
      dtype=kind.dtype,
      offset=offset,
      shape=shape,
      stride=stride,
    )
  )


def rebuild_parameter(data: Any, *rest: Any) -> Any:
  """What torch._utils._rebuild_parameter makes: its tensor."""
  del rest
  return data


def _inside(tensor: Tensor) -> Tensor:
  """The same tensor, if its numbers make sense and its storage has them."""
  rows = (tensor.shape, tensor.stride)
  if not all(type(x) in (tuple, list) and len(x) <= _MOST_AXES for x in rows):
    raise unpickler.Refused("a tensor of shape or stride that is none")
  numbers = [tensor.offset, *tensor.shape, *tensor.stride]
  if not all(type(n) is int and 0 <= n < 2**63 for n in numbers):
    # Not said, as it may be anything at all.
    raise unpickler.Refused("a tensor of shape or stride that is none")
  size = np.dtype(tensor.dtype).itemsize
  have = tensor.storage.numel * np.dtype(tensor.storage.dtype).itemsize // size
  if len(tensor.shape) != len(tensor.stride):
    raise unpickler.Refused(
      f"a tensor of shape {tensor.shape}, stride {tensor.stride}"
    )
  pairs = zip(tensor.shape, tensor.stride, strict=True)
  last = tensor.offset + sum((n - 1) * s for n, s in pairs)
  # A stride of 0 could make any number of elements of one.
  count = math.prod(tensor.shape)
  if count > have or (count and last >= have):
    raise unpickler.Refused(
      f"a tensor of shape {tensor.shape} over {have} elements"
    )
  return dataclasses.replace(
    tensor, shape=tuple(tensor.shape), stride=tuple(tensor.stride)
  )
