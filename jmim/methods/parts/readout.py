"""How mimicry is tried on images: the edits that protection is to spoil.

    once     SDEdit's start, and what one call of the network makes of it
    sdedit   SDEdit with DDIM
    inpaint  the centre filled from noise, the rest kept

Personalisation (textual inversion, DreamBooth) trains, and is not among them.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import method

KINDS = ("once", "sdedit", "inpaint")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Readout:
  """Which edits are made, of clean and of protected images alike."""

  kinds: tuple = field.value(
    ("sdedit",), "edits that are made: any of once, sdedit, inpaint; (): none"
  )
  strength: float = field.value(
    0.3,
    "share of the steps that once and sdedit noise by",
    above=0.0,
    high=1.0,
  )
  steps: int = field.value(100, "sampling steps from noise to data", low=1)
  hole: float = field.value(
    0.5,
    "share of a side that inpaint fills, in the centre",
    above=0.0,
    below=1.0,
  )
  guidance: float = field.value(
    1.0, "classifier-free guidance: 1 conditional, 0 unconditional"
  )

  def check(self, one: Callable[[str], None]) -> None:
    """Raises ValueError for edits that cannot be made.

    Args:
      one: kind -> raises ValueError for an edit that its model cannot make.
    """
    kinds = set(self.kinds)
    if kinds - set(KINDS) or len(kinds) < len(self.kinds):
      raise ValueError(
        f"readout.kinds={self.kinds}: some of {', '.join(KINDS)}, once each"
      )
    for kind in self.kinds:
      try:
        one(kind)
      except ValueError as e:  # which names fields that are called otherwise
        raise ValueError(f"{e} (readout.kinds with {kind!r})") from e

  def options(self, kind: str) -> dict[str, Any]:
    """Fields of the procedure `edit.img2img` that makes one of the edits."""
    same = {"steps": self.steps, "guidance": self.guidance}
    if kind == "inpaint":
      return same | {"strength": 1.0, "hole": self.hole}
    return same | {"strength": self.strength, "once": kind == "once"}

  def made(
    self,
    edit: Callable[[str], Callable[[method.Batch, Any], dict[str, Any]]],
    batch: method.Batch,
    changed: jax.Array,
    draws: Any,
  ) -> dict[str, jax.Array]:
    """clean_<kind>, <kind> [b, H, W, C]: edits from the same draws.

    Args:
      edit: kind -> (batch, draws) -> its edit, "image", and what is told.
      batch: with clean images.
      changed: images [b, H, W, C] in their place.
      draws: of one batch.
    """
    join = lambda a, b: jnp.concatenate([a, b])
    both = jax.tree.map(join, batch, {**batch, "image": changed})
    twice, found = jax.tree.map(join, draws, draws), {}
    for kind in self.kinds:
      halves = jnp.split(edit(kind)(both, twice)["image"], 2)
      found[f"clean_{kind}"], found[kind] = halves
    return found

  def names(self) -> tuple[str, ...]:
    """Of what `made` gives."""
    return tuple(x for kind in self.kinds for x in (f"clean_{kind}", kind))
