"""Filling in masked tokens many at a time, as a config section (MaskGIT)."""

import dataclasses
from typing import ClassVar

import jax

from jmim.core import field
from jmim.diffusion import maskgit

ORDERS = {"confidence": maskgit.confidence, "random": maskgit.at_random}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Parallel:
  """How many calls, how many tokens each leaves masked, and which."""

  asked: ClassVar[bool] = True  # a run may be sampled otherwise

  steps: int = field.value(8, "calls of the network", low=1)
  schedule: str = field.value(
    "cosine",
    f"tokens left masked after a call ({' '.join(maskgit.SCHEDULES)})",
  )
  temperature: float = field.value(
    4.5, "noise of the order ('choice temperature')", low=0.0
  )
  order: str = field.value(
    "confidence", "tokens that are kept", choices=tuple(ORDERS)
  )

  def check(self, key: str = "sampling") -> None:
    """Raises ValueError for a schedule that is none; key: of this part."""
    maskgit.check(self.schedule, f"{key}.")

  def sample(
    self,
    keys: jax.Array,
    logits_fn: maskgit.Logits,
    start: jax.Array,
    mask_id: int,
  ) -> maskgit.Decoded:
    """Fills in every [MASK].

    Args:
      keys: [b], one per row.
      logits_fn: tokens [b, l] -> logits [b, l, v].
      start: [b, l] tokens, mask_id where they are to be filled in.
      mask_id: id of [MASK].
    """
    return maskgit.maskgit_decode(
      keys,
      logits_fn,
      start,
      mask_id,
      num_iter=self.steps,
      schedule=self.schedule,
      tau=self.temperature,
      keep_fn=ORDERS[self.order],
    )
