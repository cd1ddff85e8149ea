"""A target network that follows the trained one slowly (MoCo, BYOL, I-JEPA)."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

from jmim.core import field


@dataclasses.dataclass(frozen=True, kw_only=True)
class Momentum:
  """theta_target <- m theta_target + (1 - m) theta, m rising on a line to 1."""

  momentum: float = field.value(0.996, "m at step 0", low=0.0, high=1.0)
  steps: int = field.value(
    0, "steps until m is 1; 0: constant", low=0, was="momentum_steps"
  )

  def at(self, step: int | jax.Array) -> jax.Array:
    """m at a step."""
    done = step / self.steps if self.steps else 0.0
    return self.momentum + (1 - self.momentum) * jnp.minimum(done, 1.0)

  def update(self, target: Any, trained: Any, step: int | jax.Array) -> Any:
    """The target's parameters after a step, a tree like both."""
    m = self.at(step)
    return jax.tree.map(lambda t, p: m * t + (1 - m) * p, target, trained)
