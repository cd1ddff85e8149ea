r"""A restorer: one network, one call, a mean of errors of pixels.

What DifFace (`restore.difface`) begins with: Yue and Loy, TPAMI 2024. Of its
kinds SwinIR (Liang et al. 2021) is the authors'; SRCNN (Dong et al. 2014) and a
stack of convolutions are small. There are no golden numbers of it.

    y    = spoilt x                          `parts/degraded.py`
    f    = net([y (1 - m), m])               m: missing pixels, if there are any
    loss = mean w |f - x|        error "l1"  w: `holes.known` where m = 0, else
         = mean w (f - x)^2      error "l2"     `holes.missing`; 1 without holes

`degraded.factor` says how much larger f is than y. What `restore` gives is cut
to 0 .. 1, and has the known pixels.

Reference: none for the restorer alone.

Differs from the authors: no drop path in the Swin layers; holes are boxes (they
train LaMa's generator on its masks, which is not here). Weights: family
`swinir`.

    python -m jmim.main --config=configs/restorer_faces.py --workdir=R
    python -m jmim.tools.claim difface
"""

import dataclasses
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import method
from jmim.methods.parts import degraded as degraded_parts
from jmim.methods.parts import holes as hole_parts
from jmim.methods.parts import restorers

Array = jax.Array
LIMITS = (0.0, 1.0)
ERRORS = {"l1": jnp.abs, "l2": jnp.square}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Restorer(method.Method):
  """A network that restores images in one call."""

  size: int = field.value(512, "side of a restored image [pixels]", low=1)
  channels: int = field.value(3, "image channels", low=1)
  net: Any = field.part(restorers.KINDS, "network")
  error: str = field.value(
    "l1", "absolute (l1) or squared (l2) error", choices=tuple(ERRORS)
  )
  degraded: degraded_parts.Degraded = field.part(
    degraded_parts.Degraded, "spoilt images", degradation="face", factor=1
  )
  holes: hole_parts.Holes = field.part(
    hole_parts.Holes, "missing pixels", known=1.0
  )

  @classmethod
  def tiny(cls) -> "Restorer":
    """Two convolutions on an 8-pixel image with a hole."""
    return field.replace(
      cls(),
      size=8,
      net=dict(layers=2, width=4),
      degraded=dict(degradation="face_small"),
      holes=dict(boxes=1),
    )

  @property
  def shape(self) -> tuple[int, int, int]:
    """[h, w, c] of a restored image."""
    return (self.size, self.size, self.channels)

  @property
  def low_shape(self) -> tuple[int, int, int]:
    """[h, w, c] of what the network is shown."""
    return restorers.seen(self.shape, self.degraded, self.holes)

  @property
  def body(self) -> nn.Module:
    """The network."""
    return self.net.net(self.channels, self.degraded.factor, self.rt)

  def network(self, params: method.Tree, shown: Array) -> Array:
    """f [b, h, w, c], not clipped, of what is shown."""
    return self.body.apply({"params": params["main"]}, shown)

  def inputs(self) -> dict[str, method.Input]:
    """Images in 0 .. 1, or pairs of them."""
    found = self.degraded.inputs(self.shape, LIMITS)
    restorers.check(self.net, self.shape, self.degraded, self.holes)
    return found

  def init(self, key, batch) -> tuple[method.Tree, method.Tree]:
    """Parameters; no extra state."""
    del batch
    shown = jnp.zeros((1, *self.low_shape))
    return {"main": self.body.init(key, shown)["params"]}, {}

  def draw(self, keys, batch, step) -> method.Draws:
    """Numbers of the degradation and of the holes."""
    del step
    b = method.batch_size(batch)
    draws = self.degraded.draw(keys, (b, *self.shape))
    return draws | self.holes.draw(keys, b)

  def loss(self, weights, batch, draws, step, player="main") -> method.Loss:
    """Mean weighted error of the restored image."""
    del step, player
    y, x = self.degraded.pair(batch, draws, LIMITS)
    shown = self.holes.cut(y, draws)
    error = ERRORS[self.error](self.network(weights.params, shown) - x)
    return self.holes.weighted(error, shown).mean(), {}

  def predict(self) -> dict[str, method.Predict]:
    """restore."""
    return {"restore": self.restore}

  def restore(self, weights, batch, key) -> dict[str, Array]:
    """image, target, input; an example is spoilt as its number says."""
    del key
    y, x = self.degraded.fixed(batch, LIMITS)
    numbers = self.degraded.numbers(batch, LIMITS)
    shown = self.holes.fixed(y, numbers)
    made = jnp.clip(self.network(weights.params, shown), *LIMITS)
    low = shown[..., : self.channels]
    return self.degraded.output(self.holes.pasted(made, shown), low, x)
