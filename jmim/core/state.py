"""Everything a run is, besides its config: one pytree."""

from typing import Any

import flax.struct
import jax


@flax.struct.dataclass(kw_only=True)
class State:
  """The state of training after `step` optimizer steps.

  Attributes:
    step: int32, also the position in the data and in the draws.
    params: player -> tree, float32.
    opt: player -> optimizer state.
    ema: like params, or {} without EMA.
    extra: the method's saved but not differentiated values.
    window: metric name -> float32 sum over the finite steps since the last
      log line (so that a resumed run logs the same means).
    counted: int32, finite steps in the window.
    skipped: int32, non-finite steps in a row, now.
    skipped_total: int32, non-finite steps since the start.
  """

  step: jax.Array
  params: Any
  opt: Any
  ema: Any
  extra: Any
  window: dict[str, jax.Array]
  counted: jax.Array
  skipped: jax.Array
  skipped_total: jax.Array
