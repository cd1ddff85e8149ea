"""How many codes of an example are masked in training, and which (MaskGIT).

    r ~ U[0, 1), scores ~ U[0, 1)^n
    masked: the ceil(n max(gamma(r), least)) smallest scores

gamma is a schedule of `diffusion.maskgit`.
"""

import dataclasses

import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import method
from jmim.core import randomness
from jmim.diffusion import discrete
from jmim.diffusion import maskgit


@dataclasses.dataclass(frozen=True, kw_only=True)
class MaskRates:
  """Schedule of the rates, and the least of them."""

  schedule: str = field.value(
    "cosine", f"share masked, of r ({' '.join(maskgit.SCHEDULES)})"
  )
  least: float = field.value(0.0, "least share masked", low=0.0, high=1.0)

  def check(self, key: str = "masks") -> None:
    """Raises ValueError for a schedule that is none; key: of this part."""
    maskgit.check(self.schedule, f"{key}.")

  def draw(self, keys: randomness.Keys, shape: tuple[int, int]) -> method.Draws:
    """r [b] and scores [b, n], both ~ U[0, 1)."""
    r = jax.random.uniform(keys("r"), shape[:1])
    return {"r": r, "scores": jax.random.uniform(keys("scores"), shape)}

  def masked(self, draws: method.Draws) -> jax.Array:
    """bool [b, n], at least one of each row."""
    n = draws["scores"].shape[1]
    r = jnp.maximum(draws["r"], 1e-6)  # log: gamma(0) is no number
    rate = maskgit.mask_ratio(self.schedule, r, n)
    count = jnp.ceil(n * jnp.maximum(rate, self.least))
    return discrete.subset(draws["scores"], count)
