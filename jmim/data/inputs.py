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
from jmim.data import labels
from jmim.data import moves
from jmim.data import other_shape

Inputs = Mapping[str, method.Input]

# Kind of entry -> key of what is subtracted from it.
_SCALED = {entries.PIXELS: "data.mean", entries.VOLUME: "data.volume_mean"}
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
    entry = entries.of(name, data)
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
    entry = entries.of(name, data)
    if entry.kind == entries.MAP:
      _check_map(data, name, inputs, reader)
    if entry.shape is None:
      continue  # as stored: only the examples can tell
    shape = entry.shape(data)
    if entry.kind == entries.VOLUME and not needed.windowed:
      shape = tuple(data.eval_volume) or shape
    if shape is None:
      raise errors.UserError(
        f"{reader} reads {name!r}",
        f"inputs the pipeline makes: {', '.join(_made(data))}; and numbers "
        "that the data set stores",
        entry.remedy,
        "data.views" if name == "views" else "method.type",
      )
    if shape != tuple(needed.shape):
      raise other_shape.error(
        data, name, shape=shape, needed=needed, reader=reader
      )


def _made(data: settings.Data) -> list[str]:
  """Entries that the settings make, whatever the data set stores."""
  shapes = {name: e.shape for name, e in entries.table(data).items() if e.shape}
  return [name for name, shape in shapes.items() if shape(data) is not None]


def _check_map(
  data: settings.Data, name: str, inputs: Inputs, reader: str
) -> None:
  """A map must show the image that the settings make.

  Where pictures of their own size are read in its place (`data.pictures`), it
  stays as it is stored, and must be as large.
  """
  needed, of = inputs[name], entries.of(name).of
  image = entries.of(of)
  if image.shape(data) is None:
    raise errors.UserError(
      f"{reader} reads the map {name!r}",
      "an image that the map goes with",
      image.remedy,
      "method.type",
    )
  shape = needed.shape[1:] if data.group else needed.shape
  named = entries.named(data) if of not in inputs else {}
  beside = [e.shape(data) for n, e in named.items() if n in inputs]
  if any(tuple(shape[:2]) == tuple(sides[-3:-1]) for sides in beside):
    return
  if not entries.fits(shape, *data.sides):
    raise errors.UserError(
      f"{reader} reads {name} {tuple(needed.shape)}",
      f"a map as images of {data.sides[0]} x {data.sides[1]} pixels are",
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
      there = ", ".join(entries.readable(batch)) or "nothing that can be read"
      raise errors.UserError(
        f"examples with {there}",
        f"{name!r}, which the method reads",
        entries.of(name, data).remedy,
        "data.name",
      )
    values = np.asarray(jax.device_get(ready[name]))
    shape = values.shape[1:] if needed.windowed else tuple(needed.shape)
    if values.shape[1:] != shape:
      raise errors.UserError(
        f"{name!r} of shape {values.shape[1:]} in the first example",
        f"shape {tuple(needed.shape)}, as the method reads it",
        "make the sizes of the method those of the data",
        "data.name",
      )
    key = _SCALED.get(entries.of(name, data).kind, "")
    _check_values(name, values, needed, key)
  moves.check(data, batch, inputs)


def _check_values(
  name: str, values: np.ndarray, needed: method.Input, key: str
) -> None:
  """Kind and range of the values of one entry, scaled by a key or as stored."""

  def wrong(seen: str, expected: str) -> errors.UserError:
    return errors.UserError(
      f"{name!r} with {seen} in the first example",
      f"{expected}, as the method reads it",
      f"set {key} and {key.replace('mean', 'std')}, which map pixels to it"
      if key
      else "correct the data set, or choose a method for it",
      key or "data.name",
    )

  whole = np.issubdtype(needed.dtype, np.integer)
  if whole and not np.issubdtype(values.dtype, np.integer):
    raise wrong(f"{values.dtype} numbers", "whole numbers")
  if not values.size:
    return
  least, greatest = values.min(), values.max()
  if whole and needed.high is not None:
    check_range(name, values, needed.high)
  if lacking := [n for n in needed.holds if n not in values]:
    raise errors.UserError(
      f"{name!r} without {lacking[0]} in the first example",
      f"{lacking[0]} in every one, as the method reads it",
      "make data.text_start, data.text_end those of the method's text",
      "data.text_end",
    )
  if needed.closes and not np.isin(values[..., -1], needed.closes).all():
    raise errors.UserError(
      f"{name!r} that closes with {int(values.flat[-1])} in the first example",
      f"one of {needed.closes}: the method's end and padding",
      "make data.text_pad that of the method's text",
      "data.text_pad",
    )
  if needed.range is None:
    return
  low, high = needed.range
  slack = _SLACK * max(1.0, abs(low), abs(high))
  if not (low - slack <= least and greatest <= high + slack):  # also of NaN
    raise wrong(
      f"values from {least:.6g} to {greatest:.6g}",
      f"values from {low:.6g} to {high:.6g}",
    )


def check_range(
  name: str, values: np.ndarray, high: int, where: str = ""
) -> None:
  """Raises UserError for whole numbers [...] that are not all in [0, high).

  `where`: which example they are of, with what separates it from the rest.
  """
  if not values.size or (values.min() >= 0 and values.max() < high):
    return
  least, greatest = int(values.min()), int(values.max())
  fix = "correct the data set, or choose a method for it"
  if name == "label":
    fix = f"make the method's number of classes {greatest + 1} or more"
    if least < 0:
      fix = "leave out the examples without a label (-1), or label them"
    elif greatest == high and least:
      fix = "count classes from 0: subtract 1; or " + fix
  seen = greatest if greatest >= high else least
  raise errors.UserError(
    f"{where}{name!r} with the number {seen}",
    f"numbers from 0 to {high - 1}, as the method reads it",
    fix,
    "method.classes" if name == "label" and least >= 0 else "data.name",
  )


def check_stored(source: Any, inputs: Inputs, unlabelled: bool = False) -> None:
  """Raises UserError for whole numbers that no method can read.

  Args:
    source: whose columns are looked at, if it has them in memory; others are
      checked as their examples are read.
    inputs: of the method.
    unlabelled: whether labels may be -1: no label.
  """
  for name, needed in inputs.items():
    if needed.high is None:
      continue
    if name == "label":
      _check_labels(source)
    for column in labels.columns(source, name):
      try:
        values = np.asarray(column)
      except ValueError:
        continue  # of different lengths: the batch is refused, with a name
      if name == "label" and unlabelled:
        values = values[values != labels.UNLABELLED]
      if values.dtype.kind in "iu":
        check_range(name, values, needed.high)
    if name == "label":
      _check_classes(source, needed.high)


def _check_labels(source: Any) -> None:
  if fault := labels.fault(source):
    raise errors.UserError(
      fault,
      "a class per example: whole numbers [n] or [n, 1], or one-hot rows",
      "correct the labels, or choose a method that reads none",
      "data.name",
    )


def _check_classes(source: Any, high: int) -> None:
  if (source.num_classes or 0) > high:
    raise errors.UserError(
      f"{source.num_classes} classes in the data, {high} in the method",
      f"at most {high}",
      f"set the method's number of classes to {source.num_classes}; if labels "
      "begin at 1, subtract 1 from them",
      "method.classes",
    )
