"""InfoNCE of predicted vectors and those of all texts, learned temperature.

    l_ij = cos(p_i, e_j) / temperature       1 / temperature <= 100 (CLIP)
    loss = -mean_i (log softmax_j(l_ij)_i + log softmax_j(l_ji)_i) / 2

j passes over the whole batch, on whatever devices it is; texts that are equal
are no wrong answers to each other.
"""

import dataclasses
import math

import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.nn import losses
from jmim.nn import norm

MOST = 100.0  # of 1 / temperature


@dataclasses.dataclass(frozen=True, kw_only=True)
class Contrast:
  """Weight and temperature."""

  weight: float = field.value(1.0, "weight of InfoNCE", low=0.0)
  temperature: float = field.value(
    0.07, "temperature of InfoNCE at the start", low=1 / MOST
  )

  def init(self) -> jax.Array:
    """The parameter, ln(1 / temperature)."""
    return jnp.float32(-math.log(self.temperature))

  def loss(
    self, log_scale: jax.Array, p: jax.Array, e: jax.Array, ids: jax.Array
  ) -> tuple[jax.Array, jax.Array]:
    """(loss without its weight, share of p that find their text).

    Args:
      log_scale: the parameter.
      p: [n, d] predictions.
      e: [b, d] vectors of the batch's texts, p_i is to be like e_i.
      ids: [b, l] tokens of the same texts.
    """
    same = (ids[: len(p), None] == ids).all(-1)
    scale = jnp.exp(losses.limited(log_scale, math.log(MOST)))
    cosines = jnp.einsum("nd,bd->nb", norm.unit(p), norm.unit(e))
    loss, (found, _) = losses.paired(scale * cosines, same)
    return loss, found
