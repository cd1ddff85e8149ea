"""What goes with an image must be moved with it, or neither."""

from collections.abc import Iterable
from collections.abc import Mapping

import numpy as np

from jmim.core import errors
from jmim.core.settings import data as settings
from jmim.data import entries


def check(
  data: settings.Data,
  batch: Mapping[str, np.ndarray],
  inputs: Iterable[str],
) -> None:
  """Raises UserError unless all inputs still show the same.

  Args:
    data: settings.
    batch: as from the pipeline.
    inputs: names of what a method reads.
  """
  crop, turns = data.device_crop != "none", data.flip or data.turn
  if "image" not in batch or not (crop or turns):
    return
  rectangles = list(entries.among(inputs, entries.RECTANGLES))
  if crop and rectangles:
    raise errors.UserError(
      f"data.device_crop={data.device_crop!r} with {', '.join(rectangles)}",
      "images that are not cropped, as rectangles refer to all of them",
      "set data.device_crop='none'",
      "data.device_crop",
    )
  kinds = (entries.PIXELS, entries.MAP, entries.RECTANGLES)
  moved = list(entries.among(inputs, *kinds))
  still = [name for name in inputs if entries.of(name, data).still]
  if moved and still:
    by = {"data.flip": data.flip, "data.turn": data.turn}
    by["data.device_crop"] = crop
    raise errors.UserError(
      f"{', '.join(moved)}, cropped, mirrored or turned; and "
      f"{', '.join(still)}, which stays as it is stored",
      "inputs that show the same",
      "set data.flip=False, data.turn=False and data.device_crop='none'",
      next(k for k in ("data.flip", "data.turn", "data.device_crop") if by[k]),
    )
