"""Heads of a network that tell real numbers of a picture, a pose say.

    loss = mean over entries n of mean (z_n - y_n / u_n)^2

Each number of an entry has a unit u of its own, so that all count alike.
"""

import dataclasses
from collections.abc import Mapping

import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import method

Array = jax.Array


@dataclasses.dataclass(frozen=True, kw_only=True)
class RealHeads:
  """Which entries, and in which units."""

  names: tuple[str, ...] = field.value(
    (), "entries of real numbers that are told, one head each"
  )
  units: tuple[tuple[float, ...], ...] = field.value(
    (), "worth of 1 of each number's head, one by one"
  )

  @property
  def counts(self) -> dict[str, int]:
    """Entry -> its numbers."""
    return dict(zip(self.names, map(len, self.units), strict=True))

  def inputs(self, others: tuple[str, ...]) -> dict[str, method.Input]:
    """The entries.

    Args:
      others: names of other heads.

    Raises:
      ValueError: a name twice, or no unit for it.
    """
    every = (*others, *self.names)
    positive = all(min(each, default=0) > 0 for each in self.units)
    alike = len(self.units) == len(self.names)
    if not alike or not positive or len(set(every)) < len(every):
      raise ValueError(
        f"method.numbers.units={self.units} for method.numbers.names="
        f"{self.names}: name entries, none twice, and give each number of them "
        "a unit above 0"
      )
    return {name: method.Input((n,)) for name, n in self.counts.items()}

  def values(self, told: Mapping[str, Array]) -> dict[str, Array]:
    """Entry -> [b, k], as the data has them, of what heads gave."""
    each = zip(self.names, self.units, strict=True)
    return {name: jnp.asarray(u) * told[name] for name, u in each}

  def errors(
    self, told: Mapping[str, Array], batch: method.Batch
  ) -> dict[str, Array]:
    """Entry -> mean squared error in units.

    Args:
      told: head -> [b, k].
      batch: has the entries.
    """
    each = zip(self.names, self.units, strict=True)
    gap = lambda name, u: told[name] - batch[name] / jnp.asarray(u)
    return {name: (gap(name, u) ** 2).mean() for name, u in each}
