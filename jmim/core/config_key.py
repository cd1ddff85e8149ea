"""What is known of one config key."""

import dataclasses
from typing import Any


@dataclasses.dataclass(frozen=True, kw_only=True)
class Key:
  """Default (which fixes the type), documentation and limits of a key."""

  default: Any
  doc: str
  choices: tuple = ()
  low: float | None = None  # smallest value allowed
  high: float | None = None  # largest value allowed
  above: float | None = None  # values must be larger than this
  below: float | None = None  # values must be smaller than this


def duration(stem: str, doc: str) -> dict[str, Key]:
  """The three keys of one duration."""
  return {
    f"{stem}_steps": Key(default=0, doc=f"{doc} [optimizer steps]", low=0),
    f"{stem}_epochs": Key(
      default=0.0, doc=f"{doc} [passes over the data]", low=0
    ),
    f"{stem}_images": Key(default=0, doc=f"{doc} [examples seen]", low=0),
  }
