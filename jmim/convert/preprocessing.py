"""Preprocessing in the words of Transformers and timm, as keys of `data`.

    x = (f p - mean) / std,  p = 0 .. 255      f: rescale_factor, 1 / 255 here

so that another factor is another mean and std. What `data` has no words for is
refused by name: an image seen otherwise gives other numbers without a word.
"""

import re
from collections.abc import Mapping
from typing import Any

import ml_collections

from jmim.core import errors

_KERNELS = {2: "bilinear", 3: "bicubic"}  # Pillow's numbers
# What processors take for granted that a file does not say.
_BILINEAR = r"(ViT|VideoMAE|DINOv3ViT)"
_CENTER = r"(Bit|CLIP|DeiT|VideoMAE)"
_SQUARE = r"(ViT|DeiT|Beit|DINOv3ViT)"  # a whole number as `size`
_UNKNOWN = ("do_pad", "do_flip_channel_order", "crop_pct")

Keys = dict[str, Any]


def from_hf(config: Mapping[str, Any]) -> Keys:
  """Keys of `config.data` of a preprocessor_config.json.

  Returns:
    mean, std, kernel, eval_crop, eval_resize; and size, where it says one.

  Raises:
    UserError: preprocessing that `data` has no words for.
  """
  for key in _UNKNOWN:
    if config.get(key):
      raise _refused(f"{key}={config[key]!r}", "without it")
  kind = config.get("image_processor_type") or ""
  kind = kind or config.get("feature_extractor_type") or ""
  return _normalisation(config) | _geometry(config, kind)


def _normalisation(config: Mapping[str, Any]) -> Keys:
  """{mean, std}: do_rescale and do_normalize as one map of pixels."""
  factor = config.get("rescale_factor", 1 / 255)
  scale = 255 * (factor if config.get("do_rescale", True) else 1.0)
  if not config.get("do_normalize", True):
    mean, std = (0.0,) * 3, (1.0,) * 3
  else:
    # Each processor has others of its own, so there is nothing to fall back on.
    missing = [k for k in ("image_mean", "image_std") if k not in config]
    if missing:
      raise _refused(f"no {' and no '.join(missing)}", "both, in the file")
    mean, std = config["image_mean"], config["image_std"]
  if abs(scale - 1) < 1e-6:  # 1 / 255, in as many digits as a file has
    scale = 1.0
  return {
    "mean": tuple(m / scale for m in mean),
    "std": tuple(s / scale for s in std),
  }


def _geometry(config: Mapping[str, Any], kind: str) -> Keys:
  """{kernel, eval_crop, eval_resize, size} of do_resize and do_center_crop."""
  number = config.get("resample", 2 if re.match(_BILINEAR, kind) else 3)
  if number not in _KERNELS:
    raise _refused(f"resample={number!r}", "2 (bilinear) or 3 (bicubic)")
  keys = {"kernel": _KERNELS[number]}
  center = config.get("do_center_crop", bool(re.match(_CENTER, kind)))
  if not config.get("do_resize", True):
    if center:
      raise _refused("do_center_crop without do_resize", "both, or none")
    return keys  # images as they are
  way, side = _resize(config.get("size"), center, kind)
  crop = side
  if center:
    given = config.get("crop_size")
    crop = None if given is None else _square("crop_size", given)
  if crop is not None and side is not None and crop > side:
    raise _refused(f"crop_size={crop} of images of {side}", "a part of them")
  if way == "center" and not center:
    raise _refused(f"size={config['size']} without do_center_crop", "a square")
  keys |= {"eval_crop": way, "eval_resize": side or 0}
  return keys | ({} if crop is None else {"size": crop})


def _resize(size: Any, center: bool, kind: str) -> tuple[str, int | None]:
  """("center", short side) or ("squash", side); None: not said."""
  if size is None:
    return ("center" if center else "squash"), None
  if isinstance(size, Mapping):
    known = {k: v for k, v in size.items() if v is not None}
    if set(known) == {"shortest_edge"}:
      return "center", known["shortest_edge"]
    return "squash", _square("size", size)
  if isinstance(size, int):
    square = not center or re.match(_SQUARE, kind)
    return ("squash" if square else "center"), size
  return "squash", _square("size", size)


def _square(key: str, value: Any) -> int:
  """The side of a square, in whatever way it is written."""
  sides = value
  if isinstance(value, Mapping):
    known = {k: v for k, v in value.items() if v is not None}
    sides = known.values() if set(known) == {"height", "width"} else ()
  elif isinstance(value, int):
    sides = [value]
  sides = {*sides}
  if len(sides) != 1:
    raise _refused(f"{key}={value!r}", "a square")
  return sides.pop()


def from_timm(config: Mapping[str, Any]) -> Keys:
  """Keys of `config.data` of a `pretrained_cfg`.

  Raises:
    UserError: as `from_hf`.
  """
  keys = {"mean": tuple(config["mean"]), "std": tuple(config["std"])}
  kernel = config.get("interpolation", "bicubic")
  if kernel not in _KERNELS.values():
    raise _refused(f"interpolation={kernel!r}", "bilinear or bicubic")
  keys["kernel"] = kernel
  if config.get("crop_pct"):
    mode = config.get("crop_mode") or "center"
    if mode not in ("center", "squash"):
      raise _refused(f"crop_mode={mode!r}", "center or squash")
    side = int(config["input_size"][-1] / config["crop_pct"])
    keys |= {"eval_crop": mode, "eval_resize": side}
  return keys


def to_hf(config: ml_collections.ConfigDict) -> dict[str, Any]:
  """The evaluation's preprocessing in the words of Transformers.

  With data.eval_crop="center" or "squash" as there; else the image is taken as
  it is, at the method's size. What is left out `untold` says.
  """
  data = config.data
  square = lambda side: {"height": side, "width": side}
  number = next(n for n, k in _KERNELS.items() if k == data.kernel)
  shared = {
    "do_resize": True,
    "do_rescale": True,
    "rescale_factor": 1 / 255,
    "do_normalize": True,
    "image_mean": list(data.mean),
    "image_std": list(data.std),
    "resample": number,
  }
  side = data.eval_resize or data.size
  if (
    data.eval_crop == "none"
    or data.eval_crop == "squash"
    and (side == data.size)
  ):
    return shared | {
      "image_processor_type": "ViTImageProcessor",
      "do_center_crop": False,
      "size": square(data.size),
    }
  center = data.eval_crop == "center"
  return shared | {
    "image_processor_type": "CLIPImageProcessor",
    "do_center_crop": True,
    "size": {"shortest_edge": side} if center else square(side),
    "crop_size": square(data.size),
  }


def untold(config: ml_collections.ConfigDict) -> list[str]:
  """Lines about what neither library's preprocessing has words for.

  Both begin with the whole picture; a run may read a part of it.
  """
  if not config.data.box:
    return []
  top, left, height, width = config.data.box
  return [
    f"no place for: data.box={tuple(config.data.box)}; before anything else "
    f"cut each picture to [{top}:{top + height}, {left}:{left + width}] "
    "(jmim.load does)"
  ]


def _refused(seen: str, expected: str) -> errors.UserError:
  return errors.UserError(
    f"preprocessing beside the weights: {seen}",
    expected,
    "correct the file if it is wrong, or give a recipe with --config",
    "--weights",
  )
