"""A first stage anybody can recompute: every other pixel is the latent."""

import dataclasses

import jax.numpy as jnp

from jmim.core import field
from jmim.core import method


@dataclasses.dataclass(frozen=True, kw_only=True)
class Pixels(method.Method):
  """Moments and codes of images; one weight to train."""

  size: int = field.value(8, "image side [pixels]", low=4)
  channels: int = field.value(1, "image channels", low=1)
  n_codes: int = field.value(0, "size of the codebook; 0: none", low=0)

  def inputs(self):
    return {"image": method.Input((self.size, self.size, self.channels))}

  def init(self, key, batch):
    return {"main": {"scale": jnp.float32(1)}}, {}

  def loss(self, weights, batch, draws, step, player="main"):
    return weights.params["main"]["scale"] ** 2, {}

  def moments(self, weights, batch, key):
    """[b, h/2, w/2, c], with log variances -3 if there are no codes."""
    mean = batch["image"][:, ::2, ::2]
    parts = [mean] if self.n_codes else [mean, jnp.full_like(mean, -3.0)]
    return jnp.concatenate(parts, -1)

  def codes(self, weights, batch, key):
    """[b, h/4, w/4] in 0 .. n_codes - 1; images are in -1 .. 1."""
    x = batch["image"][:, ::4, ::4, 0]
    return jnp.int32((x + 1) / 2 * (self.n_codes - 1))

  def predict(self):
    return {"moments": self.moments, "codes": self.codes}
