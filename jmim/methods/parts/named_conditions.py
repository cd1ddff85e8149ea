"""Several conditions by name: dropped one by one, and guided by some of them.

keep_k ~ 1 - Bernoulli(p_k)        in training, of each example
e = e(null) + s (e - e(null))      null: without the conditions of `guide`
"""

import dataclasses
import types
from collections.abc import Mapping

import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import randomness

Array = jax.Array
DROP = "drop_{}".format


@dataclasses.dataclass(frozen=True, kw_only=True)
class NamedConditions:
  """How often each is left out in training, and what guidance is by.

  Of a condition that a stage has not nothing is left out.
  """

  names: tuple[str, ...] = field.value((), "conditions left out in training")
  drop: tuple[float, ...] = field.value(
    (), "share of examples without each of names"
  )
  guide: tuple[str, ...] = field.value(
    (), "conditions that the prediction guided against is without"
  )

  @property
  def shares(self) -> dict[str, float]:
    """Name -> share of examples without it in training."""
    return dict(zip(self.names, self.drop, strict=True))

  def check(
    self,
    names: tuple[str, ...],
    guidance: float,
    key: str = "conditions",
    lacking: Mapping[str, str] = types.MappingProxyType({}),
  ) -> None:
    """Raises ValueError for names that guidance cannot be by.

    There are none such, they were never dropped, or they are not told: both
    predictions would be the same, at twice the cost of one.

    Args:
      names: of the conditions that there may be.
      guidance: scale of guidance; 1: there is none.
      key: of this part in the method.
      lacking: name -> the field that says that the network is not told it.
    """
    known = ", ".join(names)
    each = len(self.drop) == len(self.names)
    if not each or not all(0 <= share < 1 for share in self.drop):
      raise ValueError(
        f"{key}.drop={self.drop}: a share below 1 of each of {key}.names="
        f"{self.names}"
      )
    for name in (*self.names, *self.guide):
      if name not in names:
        raise ValueError(f"{key} names {name!r}: one of {known}")
    never = [name for name in self.guide if not self.shares.get(name)]
    if guidance != 1 and (never or not self.guide):
      raise ValueError(
        f"sampling.guidance={guidance} with {key}.guide={self.guide}: guidance "
        f"is by conditions that {key}.drop leaves out in training"
      )
    gone = [name for name in self.guide if name in lacking]
    if guidance != 1 and gone:
      there = [name for name in names if name not in lacking]
      raise ValueError(
        f"{key}.guide={self.guide}: with {lacking[gone[0]]} the network is not "
        f"told {gone[0]!r}, only {', '.join(there) or 'nothing'}"
      )

  def draw(
    self, keys: randomness.Keys, shape: tuple[int, ...]
  ) -> dict[str, Array]:
    """drop_<name> [b] bool."""
    return {
      DROP(name): jax.random.bernoulli(keys(DROP(name)), p, shape[:1])
      for name, p in self.shares.items()
    }

  def kept(
    self, names: tuple[str, ...], draws: dict[str, Array], b: int
  ) -> dict[str, Array]:
    """Name -> float32 [b], 0 where it is left out; without draws none is."""
    none = jnp.zeros(b, bool)
    return {
      name: 1.0 - draws.get(DROP(name), none).astype(jnp.float32)
      for name in names
    }

  def guided(
    self, names: tuple[str, ...], b: int
  ) -> tuple[dict[str, Array], dict[str, Array]]:
    """(all are there, all but those of `guide`): name -> float32 [b]."""
    ones = jnp.ones(b)
    null = {name: ones * (name not in self.guide) for name in names}
    return dict.fromkeys(names, ones), null

  def whole(self, draws: dict[str, Array]) -> dict[str, Array]:
    """The draws of a step, of which nothing is left out."""
    own = set(map(DROP, self.names))
    return {name: x for name, x in draws.items() if name not in own}
