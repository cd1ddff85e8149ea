"""Sizes of Step-Video's transformer, as a config has them."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from jmim.core import field
from jmim.core import runtime
from jmim.nn import sizes
from jmim.nn.nets import video_dit

SIZES = {
  "30B": sizes.Size(width=6144, depth=48, heads=48),
  # A size to start with; that of the report's smaller model is not published.
  "4B": sizes.Size(width=3072, depth=32, heads=24),
  # Ours, for clips of 16 pixels.
  "Ti": sizes.Size(width=96, depth=4, heads=3),
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Dims:
  """A named size on patches of a side, with overrides."""

  variant: str = field.value(
    "30B/1", f"size ({' '.join(SIZES)}) / patch side in latents"
  )
  width: int = field.value(0, "width; 0: that of variant", low=0)
  depth: int = field.value(0, "blocks; 0: those of variant", low=0)
  heads: int = field.value(0, "attention heads; 0: those of variant", low=0)
  mlp_ratio: float = field.value(
    0.0, "MLP hidden / width; 0: that of variant", low=0
  )
  axes: tuple = field.value(
    (), "rotary widths of frame, row, column; (): 1/2, 1/4, 1/4 of a head"
  )

  @property
  def size(self) -> sizes.Size:
    """The variant's size with the overrides."""
    names = ("width", "depth", "heads", "mlp_ratio")
    changes = {name: getattr(self, name) for name in names}
    return sizes.override(sizes.parse(self.variant, SIZES)[0], **changes)

  @property
  def patch(self) -> int:
    """Side of a patch."""
    return sizes.parse(self.variant, SIZES)[1]

  @property
  def widths(self) -> tuple[int, ...]:
    """Widths of a head's slices for frame, row and column."""
    return tuple(self.axes) or _shared(self.size.width // self.size.heads)

  def check(self, *sides: int) -> None:
    """Raises ValueError where it cannot be built on frames of these sides."""
    size, axes = self.size, self.widths
    for side in sides:
      sizes.check(size, side, self.patch, table=False)
    head = size.width // size.heads
    if len(axes) != 3 or sum(axes) != head or any(w < 0 or w % 2 for w in axes):
      raise ValueError(
        f"dims.axes {axes}: three even widths whose sum is that of a head, "
        f"{head} (dims.width over dims.heads)"
      )

  def net(
    self, out: int, sizes_told: str, rt: runtime.Runtime
  ) -> video_dit.VideoDiT:
    """The network.

    Args:
      out: channels of the prediction.
      sizes_told: see `video_dit.VideoDiT`.
      rt: execution choices.
    """
    return video_dit.VideoDiT(
      size=self.size,
      patch=self.patch,
      axes=self.widths,
      out=out,
      sizes_told=sizes_told,
      rt=rt,
    )


def _shared(head: int) -> tuple[int, int, int]:
  """A half and two quarters of a head, of the frame the most."""
  return (head - 2 * (head // 4), head // 4, head // 4)


def implied(section: Mapping[str, Any]) -> dict[str, Any]:
  """dims.heads and dims.axes as a run means them, see `method.Const.implied`.

  Args:
    section: `method` of its config; what one of another method, or an older
      one, does not tell is left out.
  """
  size = sizes.told(section, sizes=SIZES)
  found = {"dims.heads": size["heads"]} if "heads" in size else {}
  if {"width", "heads"} <= size.keys():
    axes = section["dims"].get("axes") or _shared(
      size["width"] // size["heads"]
    )
    found["dims.axes"] = tuple(axes)
  return found
