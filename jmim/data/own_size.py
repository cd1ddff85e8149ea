"""Pictures of `data.pictures`: stored beside the image, at their own sizes."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from jmim.core import errors
from jmim.data import decode
from jmim.data import entries
from jmim.data import specs


def of(
  example: Mapping[str, Any], spec: specs.Spec, name: str
) -> dict[str, np.ndarray]:
  """Those that a method reads: name -> uint8 [h, w, c], or [n, h, w, c].

  Both sides are resized to what the settings say; nothing is cut off.

  Args:
    example: as stored: files, or uint8 arrays.
    spec: says which pictures, and who reads.
    name: of the example, for messages.

  Raises:
    BadImage: a picture cannot be decoded.
    UserError: there are more or fewer of a name than the settings say.
  """
  reads = dict(spec.reads)
  made = {}
  for key, entry in entries.named(spec).items():
    if key not in example or (reads and key not in reads):
      continue
    stored = example[key] if entry.several else [example[key]]
    *count, height, width, channels = entry.shape(spec)
    if count and (isinstance(stored, bytes) or len(stored) != count[0]):
      raise errors.UserError(
        f"{name} with {_count(stored)} under {key!r}",
        f"{count[0]} in every example, as data.pictures says",
        "correct the number in data.pictures",
        "data.pictures",
      )
    pixels = (decode.decode(x, channels, spec.max_pixels) for x in stored)
    shown = [decode.resize(x, height, width, spec.kernel) for x in pixels]
    made[key] = np.stack(shown) if count else shown[0]
  return made


def _count(stored: Any) -> str:
  return (
    "one picture" if isinstance(stored, bytes) else f"{len(stored)} of them"
  )
