r"""RRDB: a convolutional network for super-resolution, learned by L1.

Wang et al. 2018 (ESRGAN's generator), as SRDiff (Li et al. 2022) and SAM-DiffSR
train it before their diffusion. Equal to the authors' code
(lose4578/SAM-DiffSR@a18eaf6): `tests/golden` compares the image.

    y    = degraded(x)                  sides / factor        x, y in -1 .. 1
    loss = mean |x - f(y)|              f is clipped to -1 .. 1

Reference: none of its own; `restore.sam_diffsr` reads its features.

Following the released code: what is clipped has no gradient. Ours: the last
bias begins in the middle of the range. Weights: family `srdiff_rrdb`.

    python -m jmim.main --config=configs/rrdb_regions.py --workdir=R
"""

import dataclasses

import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import method
from jmim.methods.parts import degraded as degradations
from jmim.nn.nets import rrdb

LIMITS = (-1.0, 1.0)  # black and white


@dataclasses.dataclass(frozen=True, kw_only=True)
class RRDB(method.Method):
  """Dense residual blocks on small images, whose side is then doubled."""

  size: int = field.value(160, "side of the result [pixels]", low=1)
  channels: int = field.value(3, "image channels", low=1)
  dims: rrdb.Dims = field.part(rrdb.Dims, "network")
  degraded: degradations.Degraded = field.part(
    degradations.Degraded, "how small images are made"
  )

  @classmethod
  def tiny(cls) -> "RRDB":
    """Two blocks of width 8 on images of 4 pixels."""
    dims = dict(width=8, growth=4, blocks=2)
    return field.replace(cls(), size=8, dims=dims, degraded=dict(factor=2))

  @property
  def shape(self) -> tuple[int, int, int]:
    """[h, w, c] of a result."""
    return (self.size, self.size, self.channels)

  @property
  def net(self) -> rrdb.RRDB:
    """The network."""
    return self.dims.net(self.degraded.factor, self.channels, self.rt)

  def inputs(self) -> dict[str, method.Input]:
    """Images [size, size, channels] in -1 .. 1, or pairs of them."""
    rrdb.check(self.degraded.factor)
    return self.degraded.inputs(self.shape, LIMITS)

  def init(self, key, batch) -> tuple[method.Tree, method.Tree]:
    """Parameters; no extra state."""
    del batch
    small = jnp.zeros((1, *self.degraded.low_shape(self.shape)))
    return {"main": self.net.init(key, small)["params"]}, {}

  def draw(self, keys, batch, step) -> method.Draws:
    """Numbers of the degradation, where it has any."""
    del step
    shape = (method.batch_size(batch), *self.shape)
    return self.degraded.draw(keys, shape)

  def loss(self, weights, batch, draws, step, player="main") -> method.Loss:
    """Mean distance of the image, absolute."""
    del step, player
    small, image = self.degraded.pair(batch, draws, LIMITS)
    return jnp.abs(image - self.enlarged(weights, small)).mean(), {}

  def enlarged(self, weights: method.Weights, small: jax.Array) -> jax.Array:
    """[b, h / factor, w / factor, c] -> [b, h, w, c], both in -1 .. 1."""
    return self.net.apply({"params": weights.params["main"]}, small)[0]

  def predict(self) -> dict[str, method.Predict]:
    """restore."""
    return {"restore": self.restore}

  def restore(self, weights, batch, key) -> dict[str, jax.Array]:
    """image, target, input, of numbers that an example's number gives."""
    del key
    small, image = self.degraded.fixed(batch, LIMITS)
    return self.degraded.output(self.enlarged(weights, small), small, image)
