"""Samplers that fill in masked tokens, as config sections.

Letters: b batch, l length, k = tokens and [MASK].
"""

import dataclasses
from typing import ClassVar

import jax

from jmim.core import field
from jmim.diffusion import ancestral
from jmim.diffusion import categorical
from jmim.diffusion import discrete
from jmim.diffusion import first_hitting


@dataclasses.dataclass(frozen=True, kw_only=True)
class FirstHitting:
  """One masked position at random per call, drawn from the prediction."""

  asked: ClassVar[bool] = True  # a run may be sampled otherwise

  steps: int = field.value(0, "network calls; 0: one per token", low=0)
  order: int = field.value(
    1,
    "order in time of several tokens per call; 2 extrapolates",
    choices=(1, 2),
  )
  precision: str = field.value(
    "f32_high",
    "precision of categorical draws",
    choices=categorical.PRECISIONS,
  )

  def check(self) -> None:
    """Nothing to check: all fields go together."""

  def sample(
    self,
    keys: jax.Array,
    logits_fn: first_hitting.Logits,
    start: jax.Array,
    *,
    mask_id: int,
    process: discrete.Absorbing,
    timed: bool,
  ) -> first_hitting.Sampled:
    """Fills in every [MASK].

    Args:
      keys: [b], one per row.
      logits_fn: (tokens [b, l], times [b]) -> [b, l, k].
      start: [b, l] tokens, mask_id where they are to be filled in.
      mask_id: id of [MASK].
      process: which masked the tokens.
      timed: the network depends on the time; of no matter here.
    """
    del timed
    return first_hitting.fhs_sample(
      keys,
      logits_fn,
      init_tokens=start,
      mask_id=mask_id,
      num_calls=self.steps or None,
      schedule=process,
      precision=self.precision,
      order=self.order,
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Ancestral:
  """Steps in time, each a draw over tokens and [MASK] at every position."""

  asked: ClassVar[bool] = True  # a run may be sampled otherwise

  steps: int = field.value(0, "steps in time; 0: one per token", low=0)
  precision: str = field.value(
    "f32_high",
    "precision of categorical draws",
    choices=categorical.PRECISIONS,
  )
  noise_limit: float = field.value(
    0.0, "largest Gumbel noise, to see what cutting it does; 0: no limit", low=0
  )
  cache_rows: int = field.value(
    0, "rows per network call; 0: a 32nd of the batch, at least 8", low=0
  )

  def check(self) -> None:
    """Raises ValueError where fields do not go together."""
    if self.noise_limit and self.precision == "f32_high":
      raise ValueError("noise_limit with precision 'f32_high'")

  def sample(
    self,
    keys: jax.Array,
    logits_fn: first_hitting.Logits,
    start: jax.Array,
    *,
    mask_id: int,
    process: discrete.Absorbing,
    timed: bool,
  ) -> first_hitting.Sampled:
    """Fills in every [MASK]; arguments as of `FirstHitting.sample`."""
    b, length = start.shape
    return ancestral.ancestral_sample(
      keys,
      logits_fn,
      init_tokens=start,
      mask_id=mask_id,
      steps=self.steps or length,
      schedule=process,
      precision=self.precision,
      limit=self.noise_limit,
      timed=timed,
      chunk=self.cache_rows or max(8, b // 32),
    )


SAMPLERS = {"fhs": FirstHitting, "ancestral": Ancestral}
