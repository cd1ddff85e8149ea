"""A method that reads groups: `config.method.type = "groupkit"` finds it."""

import dataclasses

import jax.numpy as jnp

from jmim.core import field
from jmim.core import method


@dataclasses.dataclass(frozen=True, kw_only=True)
class Pairs(method.Method):
  """One number: how alike the images and garments of two members are."""

  size: int = field.value(8, "image side [pixels]", low=2)

  def inputs(self):
    return {
      "image": method.Input((2, self.size, self.size, 3), range=(-1, 1)),
      "garment": method.Input((2, 4, 6, 3), range=(-1, 1)),
      "share": method.Input((2,), range=(0, 1)),
      "place": method.Input((2,), jnp.int32, 100),
    }

  def init(self, key, batch):
    return {"main": {"factor": jnp.ones(())}}, {}

  def loss(self, weights, batch, draws, step, player="main"):
    means = [batch[n].mean((2, 3, 4)) for n in ("image", "garment")]
    told = means[0] * batch["share"] + weights.params["main"]["factor"]
    return ((told - means[1]) ** 2).mean(), {}
