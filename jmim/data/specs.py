"""What the host and the device are asked to make of a data set, checked."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from jmim.core import errors
from jmim.core import field
from jmim.core import renamed
from jmim.core import validate
from jmim.core.settings import data
from jmim.core.settings import hardware
from jmim.data import clouds
from jmim.data import entries
from jmim.data import jpeg
from jmim.data import texts

# Field -> key of `hardware` that it comes from.
_HARDWARE = {
  "threads": "data_threads",
  "workers": "data_workers",
  "prefetch": "prefetch",
}


def of_run(section: Mapping[str, Any]) -> data.Data:
  """The section `data` of another run, perhaps an older one.

  Keys that it does not have are as they are by default, and those that nobody
  knows any more are left out.

  Raises:
    UserError: a value of another type, or outside its limits.
  """
  known = field.configured(data.Data)
  named = renamed.current(data.Data, section)
  entries = {name: x for name, x in named.items() if name in known}
  return validate.build(data.Data, entries, "data")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Spec(data.Data):
  """The section `data`, and how the host makes batches of it.

  Attributes:
    seed: of the order and of the random boxes.
    threads: that decode, in each process; 0 decodes when a batch is asked for.
    workers: processes that decode; 0: none but this one.
    prefetch: batches held ready or in the making.
    reads: what a method reads: names, and bounds of whole numbers (exclusive;
      None: not known); empty: nobody has said.
  """

  seed: int = 0
  threads: int = hardware.Hardware.data_threads
  workers: int = hardware.Hardware.data_workers
  prefetch: int = hardware.Hardware.prefetch
  reads: tuple[tuple[str, int | None], ...] = ()

  def __post_init__(self):
    for name, f in field.configured(data.Data).items():
      validate.check_limits(f"data.{name}", getattr(self, name), f.metadata)
    limits = field.configured(hardware.Hardware)
    for name, key in _HARDWARE.items():
      value = getattr(self, name)
      validate.check_limits(f"hardware.{key}", value, limits[key].metadata)
    for name in ("crop_scale", "view_scale", "local_scale"):
      low, high = self._two(name)
      self._check(name, 0 < low <= high <= 1, "0 < least <= greatest <= 1")
    narrow, wide = self._two("crop_ratio")
    self._check("crop_ratio", 0 < narrow <= wide, "0 < least <= greatest")
    self._check(
      "eval_resize",
      self.eval_resize == 0 or self.eval_resize >= self.size,
      f"0, or at least size = {self.size}",
    )
    self._check(
      "repeat_samples",
      self.batch % self.repeat_samples == 0,
      f"a divisor of batch = {self.batch}",
    )
    whole = all(isinstance(x, int) and x >= 0 for x in self.box)
    self._check(
      "box",
      not self.box or len(self.box) == 4 and whole and min(self.box[2:]) > 0,
      "(), or whole numbers (top, left, height, width)",
    )
    self._check_turbo()
    self._check_pictures()
    texts.check(self)
    self._check_group()

  def _check(self, name: str, fine: bool, expected: str) -> None:
    if not fine:
      key = f"data.{name}"
      raise errors.UserError(
        f"{key}={getattr(self, name)!r}", expected, f"change {key}", key
      )

  def _two(self, name: str) -> tuple[float, float]:
    """The bounds of a range."""
    value = getattr(self, name)
    self._check(name, len(value) == 2, "two numbers: least, greatest")
    return value

  def _check_turbo(self) -> None:
    if self.decoder != "turbo":
      return
    self._check("kernel", self.kernel == "bicubic", "bicubic with turbo")
    if not jpeg.available():
      raise errors.UserError(
        "data.decoder='turbo' without libjpeg-turbo 3",
        "the Python package turbojpeg, or the library of the system",
        'pip install "jmim[fast]", or set data.decoder to "pillow"',
        "data.decoder",
      )

  def _check_pictures(self) -> None:
    """Names are new, and sides are whole numbers."""
    named = set()
    for entry in self.pictures:
      name, *sides = entry if isinstance(entry, tuple | list) else (entry,)
      whole = [isinstance(x, int) and x > 0 for x in sides]
      self._check(
        "pictures",
        isinstance(name, str) and len(sides) in (2, 3) and all(whole),
        "entries (name, height, width) or (name, number, height, width): "
        "(('garment', 64, 48),)",
      )
      self._check(
        "pictures",
        name not in named and name not in entries.ENTRIES,
        f"names of their own; {name!r} is there already",
      )
      named.add(name)

  def _check_group(self) -> None:
    """Groups have an id and a size."""
    self._check(
      "members",
      bool(self.members) == bool(self.group),
      "at least 1 with data.group, and 0 without",
    )
    kind = entries.of(self.group, self).kind
    self._check(
      "group",
      not self.group or kind == entries.NUMBERS,
      "a stored id: a whole number, or a text",
    )

  def check_augmentation(self) -> None:
    """Raises UserError for what cannot be done on the device.

    Not needed where a spec only reads: there images are not normalised.
    """
    self._two("blur_sigma")
    for name in ("mean", "std"):
      self._check(
        name,
        len(getattr(self, name)) == self.channels,
        f"{self.channels} number(s), one per channel",
      )
    self._check("std", min(self.std) > 0, "positive numbers, to divide by")
    self._check(
      "jitter",
      len(self.jitter) == 4 and min(self.jitter) >= 0 and self.jitter[3] <= 0.5,
      "four strengths of at least 0: brightness, contrast, saturation, hue "
      "(at most 0.5)",
    )
    self._check(
      "turn",
      not (self.turn and (self.views or self.local_views)),
      "False with data.views or data.local_views, whose boxes say where a "
      "view is, not how it is turned",
    )
    square = self.sides[0] == self.sides[1]
    self._check("turn", square or not self.turn, "False with data.height")
    self._check_one_crop()
    self._check_clips()
    self._check_volumes()
    for name, fine, expected in clouds.rules(self):
      self._check(name, fine, expected)

  def _check_one_crop(self) -> None:
    """Not both the host and the device are to crop."""
    if self.device_crop == "none":
      return
    if self.views:
      raise errors.UserError(
        f"data.views={self.views} and data.device_crop={self.device_crop!r}",
        "views cut by the host, so that their boxes are known",
        "set data.device_crop='none'",
        "data.device_crop",
      )
    if self.host_crop == "resized":
      raise errors.UserError(
        f"data.host_crop='resized' and data.device_crop={self.device_crop!r}",
        "one random crop",
        "set one of them to 'none'",
        "data.device_crop",
      )

  def _check_clips(self) -> None:
    """Clips are not to be changed in ways made for images."""
    changes = (
      any(self.jitter),
      self.grey_share,
      self.blur_share,
      self.randaugment,
      self.erase_share,
    )
    if self.frames and any(changes):
      raise errors.UserError(
        f"data.frames={self.frames} with changes of colour or erasing",
        "clips, which are only cropped and flipped",
        "set jitter, *_share and randaugment to 0",
        "data.frames",
      )

  def _check_volumes(self) -> None:
    """Sides are whole numbers, and nothing made for images is asked for."""
    for name in ("volume", "eval_volume"):
      sides = getattr(self, name)
      whole = all(isinstance(x, int) and x > 0 for x in sides)
      self._check(
        name, not sides or len(sides) == 3 and whole, "(), or [d, h, w]"
      )
    self._check(
      "eval_volume", self.volume or not self.eval_volume, "() without volume"
    )
    if not self.volume:
      return
    others = ("frames", "views", "local_views", "group")
    asked = [name for name in others if getattr(self, name)]
    if asked:
      raise errors.UserError(
        f"data.volume={self.volume} with data.{asked[0]}",
        "volumes alone",
        f"unset data.{asked[0]}",
        f"data.{asked[0]}",
      )
    square = self.volume[1] == self.volume[2]
    self._check("turn", square or not self.turn, "False with uneven slices")
