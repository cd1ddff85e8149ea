"""What is to be changed where settings make an input of another shape."""

from jmim.core import errors
from jmim.core import method
from jmim.core.settings import data as settings
from jmim.data import entries

Shape = tuple[int, ...]


def error(
  data: settings.Data,
  name: str,
  *,
  shape: Shape,
  needed: method.Input,
  reader: str,
) -> errors.UserError:
  """For an entry that the settings make of another shape than is read.

  Args:
    data: settings.
    name: of the entry.
    shape: that they make.
    needed: what is read.
    reader: name of the method.
  """
  seen, key, fix = _sides(data, needed)
  if name in entries.named(data):
    seen, key = f"data.pictures, data.channels={data.channels}", "data.pictures"
    fix = f"give {name!r} that size, or the method the other"
  if name in entries.made(data):
    seen, key = f"data.text_length={data.text_length}", "data.text_length"
    fix = "make it the length that the method reads"
  if entries.of(name).kind == entries.VOLUME:
    key = f"data.{'volume' if shape == tuple(data.volume) else 'eval_volume'}"
    seen, fix = f"{key}={shape}", f"make {key} and method.shape the same"
  if data.group:
    seen, key, fix = _members(data, shape, needed) or (seen, key, fix)
  elif tuple(needed.shape[1:]) == shape:
    seen, key = "data.group=''", "data.group"
    members = f"set data.members={needed.shape[0]}"
    fix = f"name a stored id that examples share, and {members}"
  return errors.UserError(
    f"{seen}: {name} {shape}",
    f"{reader} is built for {tuple(needed.shape)}",
    fix,
    key,
  )


def _sides(data: settings.Data, needed: method.Input) -> tuple[str, str, str]:
  """(seen, key, fix) where images have another size or number of channels."""
  seen = f"data.size={data.size}, data.channels={data.channels}"
  same = "make data.size and method.size (and channels) the same"
  square = needed.shape[-3:-2] == needed.shape[-2:-1]
  if square and not data.height:
    return seen, "data.size", same
  fix = "make data.height and method.height the same, as data.size is"
  if square:
    fix = "set data.height=0: the method is built for squares"
  return f"data.height={data.height}, {seen}", "data.height", fix


def _members(
  data: settings.Data, shape: Shape, needed: method.Input
) -> tuple[str, str, str] | None:
  """(seen, key, fix) where the members are what differs; None: they are not."""
  seen, key = f"data.members={data.members}", "data.members"
  if len(shape) != len(needed.shape):
    fix = "set data.group and data.members for a method that reads groups only"
    return seen, key, fix
  if shape[1:] == tuple(needed.shape[1:]):
    return seen, key, f"set {key}={needed.shape[0]}, or the method's members"
  return None
