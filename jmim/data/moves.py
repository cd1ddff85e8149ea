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
  cut, part = data.host_crop == "resized", bool(data.box)
  if "image" not in batch or not (crop or turns or cut or part):
    return
  rectangles = list(entries.among(inputs, entries.RECTANGLES))
  crops = {"device_crop": crop, "host_crop": cut, "box": part}
  for key, does in crops.items():
    if does and rectangles:
      raise errors.UserError(
        f"data.{key}={getattr(data, key)!r} with {', '.join(rectangles)}",
        "images that are not cropped, as rectangles refer to all of them",
        f"set data.{key}={'()' if key == 'box' else repr('none')}",
        f"data.{key}",
      )
  kinds = (entries.PIXELS, entries.MAP, entries.RECTANGLES)
  moved = list(entries.among(inputs, *kinds))
  still = [name for name in inputs if entries.of(name, data).still]
  if moved and still:
    by = {"data.flip": data.flip, "data.turn": data.turn}
    by |= {f"data.{key}": does for key, does in crops.items()}
    raise errors.UserError(
      f"{', '.join(moved)}, cropped, mirrored or turned; and "
      f"{', '.join(still)}, which stays as it is stored",
      "inputs that show the same",
      "set data.flip=False, data.turn=False, data.box=(), "
      "data.device_crop='none', and data.host_crop to 'none' or 'center'",
      next(key for key, does in by.items() if does),
    )
