"""Two tasks that share every batch: who learns what of it.

    generation      the first g b examples, rounded down, one at least
    discrimination  the last d b

With g + d <= 1 no example serves both, but that of a batch of one; with
g = d = 1 every one does.
"""

import dataclasses
from typing import Any

from jmim.core import field


@dataclasses.dataclass(frozen=True, kw_only=True)
class Shares:
  """Shares of a batch per task."""

  generation: float = field.value(
    0.5, "share of each batch that generation learns from", low=0.0, high=1.0
  )
  discrimination: float = field.value(
    0.5,
    "share of each batch that discrimination learns from",
    low=0.0,
    high=1.0,
  )

  def check(self, key: str) -> None:
    """Raises ValueError if there is no task; key: of this part, with a dot."""
    if not self.generation and not self.discrimination:
      raise ValueError(
        f"{key}generation=0 with {key}discrimination=0: nothing is learnt"
      )

  def counts(self, b: int) -> tuple[int, int]:
    """Examples of (generation, discrimination) among b.

    A task with a share has one example at least.
    """
    count = lambda share: max(int(share * b + 1e-6), int(share > 0))
    return count(self.generation), count(self.discrimination)

  def first(self, tree: dict[str, Any], b: int, whole: tuple = ()) -> dict:
    """The part of a dict of arrays [b, ...] that generation learns from.

    Args:
      tree: arrays by name.
      b: examples of the batch.
      whole: names of what is not per example, and stays as it is.
    """
    n, _ = self.counts(b)
    return {k: x if k in whole else x[:n] for k, x in tree.items()}

  def last(self, tree: dict[str, Any], b: int, whole: tuple = ()) -> dict:
    """The part of discrimination; arguments as of `first`."""
    _, n = self.counts(b)
    return {k: x if k in whole else x[b - n :] for k, x in tree.items()}
