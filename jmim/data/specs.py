"""What the host is asked to make of a data set, checked."""

import dataclasses

from jmim.core import errors
from jmim.data import jpeg


@dataclasses.dataclass(frozen=True, kw_only=True)
class Spec:
  """How batches are made. Sides in pixels, `batch` over all hosts.

  Attributes:
    batch: global batch.
    size: side of the images handed out.
    channels: 1 (grey) or 3 (RGB).
    host_crop: of training images: "none" (they are `size` already), "center"
      or "resized" (a random box, resized).
    eval_crop: of evaluation images: "none" or "center".
    eval_resize: short side before a centre crop; 0 is `size`.
    crop_scale: least and greatest area of the random box, as a share.
    crop_ratio: least and greatest width / height of the random box.
    decoder: of training images: "pillow" (torchvision's arithmetic) or "turbo"
      (libjpeg-turbo, only what the crop needs).
    kernel: of the resize: "bicubic" or "bilinear".
    views: crops of one image in `views`; 0: there is `image` instead.
    nested: views 1 ... are crops of view 0.
    view_scale: area of nested views, as a share of view 0.
    local_views: small crops of one image in `locals`.
    local_size: their side.
    local_scale: their area, as a share of the image.
    frames: of a clip in `video`; 0: no video.
    stride: stored frames from one frame of a clip to the next.
    repeat_samples: slots in a row that hold the same example, drawn anew.
    remainder: of an epoch that does not fill a batch: "keep" (a batch may
      straddle two epochs) or "drop".
    seed: of the order and of the random boxes.
    threads: that decode, in each process; 0 decodes when a batch is asked for.
    workers: processes that decode; 0: none but this one.
    prefetch: batches held ready or in the making.
    on_bad_record: "raise", or "skip" to go on with the next that decodes.
    max_bad_share: of the data set that may be skipped.
  """

  batch: int
  size: int
  channels: int = 3
  host_crop: str = "none"
  eval_crop: str = "none"
  eval_resize: int = 0
  crop_scale: tuple[float, float] = (0.2, 1.0)
  crop_ratio: tuple[float, float] = (3 / 4, 4 / 3)
  decoder: str = "pillow"
  kernel: str = "bicubic"
  views: int = 0
  nested: bool = False
  view_scale: tuple[float, float] = (0.3, 0.6)
  local_views: int = 0
  local_size: int = 96
  local_scale: tuple[float, float] = (0.05, 0.4)
  frames: int = 0
  stride: int = 4
  repeat_samples: int = 1
  remainder: str = "keep"
  seed: int = 0
  threads: int = 2
  workers: int = 0
  prefetch: int = 4
  on_bad_record: str = "raise"
  max_bad_share: float = 0.05

  def __post_init__(self):
    narrow, wide = self.crop_ratio
    for field, least in _LEAST.items():
      fine = getattr(self, field) >= least
      self._check(field, fine, f"at least {least}")
    for field, allowed in _ALLOWED.items():
      names = ", ".join(map(str, allowed[:-1])) + f" or {allowed[-1]}"
      self._check(field, getattr(self, field) in allowed, names)
    for field in ("crop_scale", "view_scale", "local_scale"):
      low, high = getattr(self, field)
      self._check(field, 0 < low <= high <= 1, "0 < least <= greatest <= 1")
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
    self._check(
      "max_bad_share", 0 <= self.max_bad_share <= 1, "between 0 and 1"
    )
    self._check_turbo()

  def _check(self, field: str, fine: bool, expected: str) -> None:
    if not fine:
      key = f"data.{field}"
      raise errors.UserError(
        f"{field} = {getattr(self, field)!r}", expected, f"change {key}", key
      )

  def _check_turbo(self) -> None:
    if self.decoder != "turbo":
      return
    self._check("kernel", self.kernel == "bicubic", "bicubic with turbo")
    if not jpeg.available():
      raise errors.UserError(
        "decoder = 'turbo' without libjpeg-turbo 3",
        "the Python package turbojpeg, or the library of the system",
        'pip install "jmim[fast]", or set data.decoder to "pillow"',
        "data.decoder",
      )


_LEAST = {
  "batch": 1,
  "size": 1,
  "views": 0,
  "local_views": 0,
  "local_size": 1,
  "frames": 0,
  "stride": 1,
  "repeat_samples": 1,
  "threads": 0,
  "workers": 0,
  "prefetch": 1,
}
_ALLOWED = {
  "channels": (1, 3),
  "host_crop": ("none", "center", "resized"),
  "eval_crop": ("none", "center"),
  "decoder": ("pillow", "turbo"),
  "kernel": ("bicubic", "bilinear"),
  "remainder": ("keep", "drop"),
  "on_bad_record": ("raise", "skip"),
}
