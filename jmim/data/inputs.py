"""What a method reads, beside what the settings and the examples give it."""

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from jmim.core import errors
from jmim.core import method
from jmim.core.settings import data as settings
from jmim.data import augment
from jmim.data import entries

Inputs = Mapping[str, method.Input]

_SLACK = 1e-5  # share of a range: normalised pixels are rounded


def on_devices(
  data: settings.Data, inputs: Inputs
) -> dict[str, tuple[tuple[int, ...], Any]]:
  """Name -> (shape of one example, dtype) of what travels to the devices.

  Args:
    data: settings.
    inputs: of the method, which say what else only the examples could tell.
  """
  travels = {}
  for name in entries.sent(inputs):
    entry = entries.of(name)
    shape = entry.shape and entry.shape(data)
    if shape is None and name in inputs:
      shape = tuple(inputs[name].shape)
    if shape is not None:
      travels[name] = (shape, entry.dtype or inputs[name].dtype)
  return travels


def check_settings(data: settings.Data, inputs: Inputs, reader: str) -> None:
  """Raises UserError for inputs that the settings do not make, or otherwise.

  Args:
    data: settings.
    inputs: of the method.
    reader: name of the method, for messages.
  """
  for name, needed in inputs.items():
    entry = entries.of(name)
    if entry.kind == entries.MAP:
      _check_map(data, name, needed, reader)
    if entry.shape is None:
      continue  # as stored: only the examples can tell
    shape = entry.shape(data)
    if shape is None:
      raise errors.UserError(
        f"{reader} reads {name!r}",
        f"inputs the pipeline makes: {', '.join(_made(data))}; and numbers "
        "that the data set stores",
        entry.remedy,
        "data.views" if name == "views" else "method.type",
      )
    if shape != tuple(needed.shape):
      raise errors.UserError(
        f"data.size={data.size}, data.channels={data.channels}: {name} {shape}",
        f"{reader} is built for {tuple(needed.shape)}",
        "make data.size and method.size (and channels) the same",
        "data.size",
      )


def _made(data: settings.Data) -> list[str]:
  """Entries that the settings make, whatever the data set stores."""
  shapes = {name: e.shape for name, e in entries.ENTRIES.items() if e.shape}
  return [name for name, shape in shapes.items() if shape(data) is not None]


def _check_map(
  data: settings.Data, name: str, needed: method.Input, reader: str
) -> None:
  """A map must show the image that the settings make."""
  image = entries.of(entries.of(name).of)
  if image.shape(data) is None:
    raise errors.UserError(
      f"{reader} reads the map {name!r}",
      "an image that the map goes with",
      image.remedy,
      "method.type",
    )
  if not entries.fits(needed.shape, data.size, data.size):
    raise errors.UserError(
      f"{reader} reads {name} {tuple(needed.shape)}",
      "a square map, as images are",
      "choose a method for this data",
      "method.type",
    )


def check_example(
  data: settings.Data, batch: Mapping[str, np.ndarray], inputs: Inputs
) -> None:
  """Raises UserError unless a training batch has what a method reads.

  Args:
    data: settings; pixels are normalised before their range is looked at.
    batch: as from the pipeline.
    inputs: of the method.
  """
  ready = augment.prepare_batch(data, dict(batch))
  for name, needed in inputs.items():
    if name not in ready:
      there = entries.readable(batch)
      raise errors.UserError(
        f"examples with {', '.join(there) or 'nothing that can be read'}",
        f"{name!r}, which the method reads",
        entries.of(name).remedy,
        "data.name",
      )
    values = np.asarray(jax.device_get(ready[name]))
    if values.shape[1:] != tuple(needed.shape):
      raise errors.UserError(
        f"{name!r} of shape {values.shape[1:]} in the first example",
        f"shape {tuple(needed.shape)}, as the method reads it",
        "make the sizes of the method those of the data",
        "data.name",
      )
    _check_values(name, values, needed)
  _check_moves(data, batch, inputs)


def _check_values(name: str, values: np.ndarray, needed: method.Input) -> None:
  """Kind and range of the values of one entry."""
  pixels = entries.of(name).kind == entries.PIXELS

  def wrong(seen: str, expected: str) -> errors.UserError:
    return errors.UserError(
      f"{name!r} with {seen} in the first example",
      f"{expected}, as the method reads it",
      "set data.mean and data.std, which map pixels to it"
      if pixels
      else "correct the data set, or choose a method for it",
      "data.mean" if pixels else "data.name",
    )

  whole = np.issubdtype(needed.dtype, np.integer)
  if whole and not np.issubdtype(values.dtype, np.integer):
    raise wrong(f"{values.dtype} numbers", "whole numbers")
  if not values.size:
    return
  least, greatest = values.min(), values.max()
  if whole and needed.high is not None and greatest >= needed.high:
    raise wrong(f"the number {greatest}", f"numbers below {needed.high}")
  if needed.range is None:
    return
  low, high = needed.range
  slack = _SLACK * max(1.0, abs(low), abs(high))
  if not (low - slack <= least and greatest <= high + slack):  # also of NaN
    raise wrong(
      f"values from {least:.6g} to {greatest:.6g}",
      f"values from {low:.6g} to {high:.6g}",
    )


def _check_moves(
  data: settings.Data, batch: Mapping[str, np.ndarray], inputs: Inputs
) -> None:
  """What goes with an image must be moved with it, or neither."""
  crop = data.device_crop != "none"
  if "image" not in batch or not (crop or data.flip):
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
  still = [name for name in inputs if entries.of(name).still]
  if moved and still:
    raise errors.UserError(
      f"{', '.join(moved)}, cropped or mirrored; and {', '.join(still)}, made "
      "of the image as it was",
      "inputs that show the same",
      "set data.flip=False and data.device_crop='none'",
      "data.flip" if data.flip else "data.device_crop",
    )
