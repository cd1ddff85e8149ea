"""Weights of the noise's error over times, fixed by the bound or learned.

    loss = mean E / exp(v_t) + v_t + elbo mean w_t E
    w_t  = beta^2 / (2 sigma^2 alpha (1 - a^2))          the variational bound

E is the error of an example at its time t; v_t is a parameter for every time,
or 0 (Rombach et al. 2022, CompVis/latent-diffusion@a506df5).
"""

import dataclasses

import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import method
from jmim.diffusion import schedule
from jmim.diffusion import weights


@dataclasses.dataclass(frozen=True, kw_only=True)
class Weighting:
  """Which of the two, if any."""

  learn_log_var: bool = field.value(False, "a parameter v_t for every time")
  elbo: float = field.value(0.0, "weight of the bound", low=0.0)

  def init(self, times: int) -> dict[str, jax.Array]:
    """log_var [times], where it is learned."""
    return {"log_var": jnp.zeros(times)} if self.learn_log_var else {}

  def loss(
    self,
    params: method.Tree,
    error: jax.Array,
    t: jax.Array,
    process: schedule.Schedule,
  ) -> jax.Array:
    """[b] errors at times t [b] -> the loss.

    Args:
      params: a tree that has the entries of `init`.
      error: of each example.
      t: its time.
      process: the noise schedule.
    """
    v = params["log_var"][t] if self.learn_log_var else 0.0
    loss = (error / jnp.exp(v) + v).mean()
    if self.elbo:
      loss += self.elbo * (weights.bound(process, t) * error).mean()
    return loss
