r"""Langevin steps on the noises that a sampler consumes, under an energy.

    log p(z | c) = -|z|^2 / 2 - lambda E(G(z)) + const
    z <- z + sigma / 2 grad log p(z | c) + sqrt(sigma) w,   w ~ N(0, I)

Wu and De la Torre 2023, section on guidance: of any generator G whose z is
standard normal. Steps are not corrected (no Metropolis test): of the energy 0
they lead to the variance 1 / (1 - sigma / 4) instead of 1.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

Energy = Callable[[Any], jax.Array]  # z -> [b], of each example by itself


def walk(
  energy: Energy, z: Any, noise: Any, *, rate: float, weight: float
) -> tuple[Any, jax.Array]:
  """Steps from z; one `lax.scan`.

  Args:
    energy: E(G(z)), differentiable.
    z: tree of arrays; "standard normal" is meant of all their numbers.
    noise: w of every step, the same tree, arrays [steps, ...].
    rate: sigma.
    weight: lambda.

  Returns:
    (z after the last step, energies [steps, b] before each).
  """

  def total(z):
    each = energy(z)
    return each.sum(), each

  def step(z, w):
    grad, each = jax.grad(total, has_aux=True)(z)
    move = lambda z, g, w: z - rate / 2 * (z + weight * g) + jnp.sqrt(rate) * w
    return jax.tree.map(move, z, grad, w), each

  return jax.lax.scan(step, z, noise)
