"""Class labels as a condition that is sometimes dropped, for guidance."""

import dataclasses

import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import method
from jmim.core import randomness


@dataclasses.dataclass(frozen=True, kw_only=True)
class Labels:
  """How many there are, and how often none is shown (Ho and Salimans 2022)."""

  classes: int = field.value(0, "number of labels; 0: unconditional", low=0)
  drop: float = field.value(
    0.1,
    "share of labels replaced by none in training",
    low=0.0,
    high=1.0,
    was="label_drop",
  )

  def inputs(self) -> dict[str, method.Input]:
    """label [b] int32, if there are any."""
    if not self.classes:
      return {}
    return {"label": method.Input((), jnp.int32, high=self.classes)}

  def draw(
    self, keys: randomness.Keys, shape: tuple[int, ...]
  ) -> dict[str, jax.Array]:
    """label_drop [b] ~ U[0, 1), if there are labels; shape: [b, ...]."""
    if not self.classes:
      return {}
    return {"label_drop": jax.random.uniform(keys("label_drop"), shape[:1])}

  def dropped(
    self, batch: method.Batch, draws: method.Draws
  ) -> jax.Array | None:
    """[b] labels, those dropped replaced by `classes`; None: unconditional."""
    if not self.classes:
      return None
    drop = draws["label_drop"] < self.drop
    return jnp.where(drop, self.classes, batch["label"])

  def condition(
    self, batch: method.Batch
  ) -> tuple[jax.Array | None, jax.Array | None]:
    """([b] labels, the same of "none"), or (None, None): unconditional."""
    if not self.classes:
      return None, None
    return batch["label"], jnp.full_like(batch["label"], self.classes)

  def none(self, b: int) -> jax.Array:
    """[b] times the label that stands for none."""
    return jnp.full(b, self.classes)
