"""Width, depth and heads of transformers, as numbers and as config sections."""

import dataclasses
import re
from collections.abc import Mapping
from typing import Any
from typing import TypeVar

from jmim.core import field

S = TypeVar("S")  # a dataclass of sizes


@dataclasses.dataclass(frozen=True, kw_only=True)
class Size:
  """Width, depth, heads and MLP ratio of a transformer."""

  width: int
  depth: int
  heads: int
  mlp_ratio: float = 4.0

  @property
  def blocks(self) -> int:
    """As `swin.Size` has it."""
    return self.depth


# Dosovitskiy et al. 2021, Zhai et al. 2022 (g: hidden 6144), Peebles and Xie
# 2023 (XL), Fei et al. 2024 (G).
SIZES = {
  "Ti": Size(width=192, depth=12, heads=3),
  "S": Size(width=384, depth=12, heads=6),
  "B": Size(width=768, depth=12, heads=12),
  "L": Size(width=1024, depth=24, heads=16),
  "H": Size(width=1280, depth=32, heads=16),
  "g": Size(width=1408, depth=40, heads=16, mlp_ratio=48 / 11),
  "XL": Size(width=1152, depth=28, heads=16),
  "G": Size(width=1408, depth=40, heads=16),
}
# Chen et al. 2023 (CAE): the small ones have more heads.
TWELVE_HEADS = SIZES | {
  "Ti": Size(width=192, depth=12, heads=12),
  "S": Size(width=384, depth=12, heads=12),
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Dims:
  """A named size on patches of a side, with overrides."""

  variant: str = field.value(
    "B/16", f"size ({' '.join(SIZES)}) / patch side in pixels"
  )
  width: int = field.value(0, "width; 0: that of variant", low=0)
  depth: int = field.value(0, "blocks; 0: those of variant", low=0)
  heads: int = field.value(0, "attention heads; 0: those of variant", low=0)
  mlp_ratio: float = field.value(
    0.0, "MLP hidden / width; 0: that of variant", low=0
  )

  @property
  def size(self) -> Size:
    """The variant's size with the overrides."""
    return self.size_in(SIZES)

  def size_in(self, sizes: Mapping[str, Size]) -> Size:
    """As `size`, of a paper with another table of variants."""
    names = ("width", "depth", "heads", "mlp_ratio")
    return override(
      parse(self.variant, sizes)[0], **{k: vars(self)[k] for k in names}
    )

  @property
  def patch(self) -> int:
    """Patch side in pixels."""
    return parse(self.variant)[1]

  def grid(self, side: int | tuple[int, int]) -> tuple[int, int]:
    """(h, w) in patches of an image of that side, or (height, width)."""
    high, wide = (side, side) if isinstance(side, int) else side
    return (high // self.patch, wide // self.patch)

  def agrees(self, key: str) -> dict[str, tuple[str, int]]:
    """What a frozen ViT agrees in, see `method.Const`; with `heads` below.

    Args:
      key: of this section in the config.
    """
    return {"dims.heads": (f"{key}.heads", self.size.heads)}

  def check(self, *sides: int, table: bool = True, prefix: str = "") -> None:
    """Raises ValueError where a ViT on images of these sides cannot be built.

    See `check` for `table` and `prefix`.
    """
    for side in sides:
      check(self.size, side, self.patch, prefix=prefix, table=table)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Blocks:
  """Blocks that follow an encoder: a decoder, a predictor."""

  width: int = field.value(512, "width; 0: follows from the encoder", low=0)
  depth: int = field.value(8, "blocks", low=0)
  heads: int = field.value(
    16, "attention heads; 0: follow from the encoder", low=0
  )

  def size(self, mlp_ratio: float = 4.0, encoder: Size | None = None) -> Size:
    """As a transformer's size.

    Args:
      mlp_ratio: hidden width of the MLPs over the width.
      encoder: its width and heads hold where those here are 0.

    Raises:
      ValueError: 0, and no encoder.
    """
    if not encoder and not (self.width and self.heads):
      raise ValueError("width or heads 0: there is no encoder to follow")
    return Size(
      width=self.width or encoder.width,
      depth=self.depth,
      heads=self.heads or encoder.heads,
      mlp_ratio=mlp_ratio,
    )

  def check(
    self,
    prefix: str = "decoder_",
    encoder: Size | None = None,
    table: bool = True,
  ) -> None:
    """Raises ValueError where they cannot be built; see `size` and `check`."""
    check(
      self.size(encoder=encoder), side=1, patch=1, prefix=prefix, table=table
    )


def parse(
  variant: str, sizes: Mapping[str, Size] | None = None
) -> tuple[Size, int]:
  """Reads "B/16" as (Size, patch side).

  Args:
    variant: "<size>/<patch>".
    sizes: the known ones; None: SIZES.

  Raises:
    ValueError: not "<size>/<patch>" with a known size.
  """
  sizes = SIZES if sizes is None else sizes
  match = re.fullmatch(r"(\w+)/(\d+)", variant)
  if not match or match[1] not in sizes or not int(match[2]):
    known = ", ".join(sizes)
    raise ValueError(
      f"variant {variant!r} is not '<size>/<patch>' with a size of {known}"
    )
  return sizes[match[1]], int(match[2])


def custom(variant: str, **overrides: float) -> Size:
  """The size of "B/16" with the overrides that are not 0."""
  return override(parse(variant)[0], **overrides)


def named(variant: str, sizes: Mapping[str, S], **changes: Any) -> S:
  """A size of a table, with those changes that are not 0 or empty.

  Raises:
    ValueError: unknown variant.
  """
  if variant not in sizes:
    raise ValueError(f"variant {variant!r} is none of {', '.join(sizes)}")
  return override(sizes[variant], **changes)


def override(size: S, **overrides: Any) -> S:
  """A size with those of the overrides that are not 0 or empty."""
  changes = {k: v for k, v in overrides.items() if v}
  return dataclasses.replace(size, **changes)


def told(
  section: Mapping[str, Any],
  part: str = "dims",
  sizes: Mapping[str, Size] | None = None,
) -> dict[str, Any]:
  """Width, depth and heads of `Dims` in a config that may be of anything.

  What it does not tell is left out: a run of another method, or an older one,
  may have no such part, or a size that is not known here.

  Args:
    section: `method` of the config.
    part: key of the dims in it.
    sizes: the known ones; None: SIZES.
  """
  own = section.get(part)
  if not isinstance(own, Mapping):
    return {}
  known = SIZES if sizes is None else sizes
  usual = known.get(str(own.get("variant")).partition("/")[0])
  names = ("width", "depth", "heads")
  found = {n: own.get(n) or getattr(usual, n, None) for n in names}
  return {n: value for n, value in found.items() if value}


def heads(section: Mapping[str, Any]) -> dict[str, int]:
  """dims.heads as the config of a run means it, see `method.Const.implied`.

  No shape tells them; 0 is as many as the variant has.
  """
  found = told(section)
  return {"dims.heads": found["heads"]} if "heads" in found else {}


def check(
  size: Size, side: int, patch: int, prefix: str = "", table: bool = True
) -> None:
  """Raises ValueError where a ViT cannot be built, naming the numbers.

  Args:
    size: transformer size.
    side: image side in pixels.
    patch: patch side in pixels.
    prefix: of the names in the message ("decoder_").
    table: positions are a 2-D sin-cos table (width must divide by 4).
  """
  if side % patch:
    raise ValueError(f"image side {side} does not divide by patch {patch}")
  width = f"{prefix}width {size.width}"
  if size.width % size.heads:
    raise ValueError(f"{width} does not divide by {size.heads} {prefix}heads")
  if table and size.width % 4:
    raise ValueError(f"{width} does not divide by 4 (2-D sin-cos table)")
