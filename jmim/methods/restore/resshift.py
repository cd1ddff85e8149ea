r"""ResShift: restoration by a diffusion that starts at the degraded image.

Yue, Wang, Loy, NeurIPS 2023 (arXiv 2307.12348). Equal to the authors' code
(zsyOAOA/ResShift@3ce1d81): `tests/golden` of `restore.tad_sr` compares tables,
x_t, the prediction of the UNet, its error and the posterior.

    z = E(x),  z_y = E(y enlarged)           y: x degraded; E: `first_stage`
    z_t  = z + eta_t (z_y - z) + kappa sqrt(eta_t) eps      t ~ U{0..T-1}
    F    = net([c_t z_t, y], t)              `parts/residual.py` has c_t
    loss = mean (F - z)^2

    z_T  = z_y + kappa sqrt(eta_T) eps       then T steps: the posterior's, or
           z_{t-1} = k F + m z_t + j z_y     without noise (SinSR)

The UNet has Swin layers with GroupNorm in place of attention. With another
first stage than "none" all of this is in its latents. An image larger than a
tile is restored in tiles that overlap.

Reference (from memory; ImageNet-Test x4, 15 steps): LPIPS 0.231, CLIPIQA 0.592,
MUSIQ 53.7.

Following the released code: of shifted windows only those of the last row are
masked, column from column (`swin.mask`; "swin" is the paper's); `noise.end` is
the end of the square root of eta; an input below the side of what is diffused
is shown with its pixels repeated, a larger one through convolutions that halve
it; z_y is of the bicubic enlargement (a = -0.75). Differs: dropout, which they
set to 0, is not there. Weights: family `resshift`.

    python -m jmim.main --config=configs/resshift_cifar10.py --workdir=W
"""

import dataclasses
import functools
import operator
from typing import Any

import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import method
from jmim.methods.parts import degraded as degradations
from jmim.methods.parts import first_stage as stages
from jmim.methods.parts import latent_channels
from jmim.methods.parts import residual
from jmim.methods.parts import restored
from jmim.methods.parts import swin_mixer
from jmim.methods.parts import tiles as tiling
from jmim.nn.nets import shown_unet
from jmim.nn.nets import unet

Array = jax.Array


@dataclasses.dataclass(frozen=True, kw_only=True)
class ResShift(method.Method):
  """Diffusion between an image and a degraded one."""

  size: int = field.value(64, "side of what is diffused", low=1)
  channels: int = field.value(3, "channels of what is diffused", low=1)
  dims: unet.Dims = field.part(
    unet.Dims,
    "UNet",
    width=160,
    multipliers=(1, 2, 2, 4),
    attend_at=(1, 2, 4, 8),
    attend_first=True,
    heads=1,
    scale_shift=True,
    dropout=0.0,
  )
  swin: swin_mixer.SwinMixer = field.part(
    swin_mixer.SwinMixer, "Swin layers in place of attention"
  )
  first_stage: stages.FirstStage = field.part(
    stages.FirstStage,
    "images or latents",
    variant="vq-f4",
    codes=8192,
    read="images",
    scale=1.0,
  )
  degraded: degradations.Degraded = field.part(
    degradations.Degraded, "degradation", degradation="real_esrgan"
  )
  noise: residual.Residual = field.part(residual.Residual, "process")
  sampling: residual.Walk = field.part(residual.Walk, "sampler")
  tiles: tiling.Tiles = field.part(tiling.Tiles, "tiles of large images")

  @classmethod
  def tiny(cls) -> "ResShift":
    """Three steps on images of 8 pixels, whose input has 4."""
    small = dict(width=8, multipliers=(1, 2), blocks=1, attend_at=(1,))
    return field.replace(
      cls(),
      size=8,
      dims=dict(**small, norm_groups=4),
      swin=dict(width=8, depth=2, window=4, head_width=4),
      first_stage=dict(variant="none"),
      degraded=dict(degradation="area", factor=2),
      noise=dict(times=3, kappa=1.0, scaling="pixel"),
    )

  @property
  def shape(self) -> tuple[int, int, int]:
    """[h, w, c] of what is diffused."""
    return (self.size, self.size, self.channels)

  @property
  def space(self) -> restored.Space:
    """Between images and what is diffused."""
    names = ("shape", "first_stage", "degraded", "tiles", "rt")
    return restored.Space(**{name: getattr(self, name) for name in names})

  def net(self, upward: bool = True) -> shown_unet.ShownUNet:
    """The network; or the way down and the middle of it."""
    mixer = self.swin.plug(self.size)
    return shown_unet.ShownUNet(
      self.dims.net(out=self.channels, mixer=mixer, upward=upward, rt=self.rt)
    )

  def inputs(self) -> dict[str, method.Input]:
    """Images in -1 .. 1, or pairs of them."""
    self.dims.check(self.size)
    self.swin.check(self.dims, self.size)
    self.noise.check()
    self.sampling.check(self.noise.times)
    if self.dims.dropout:
      raise ValueError(f"dims.dropout={self.dims.dropout}: there is none here")
    return self.space.inputs(self.swin.unit(self.dims, self.size))

  def consts(self) -> dict[str, method.Const]:
    """The first stage, in latent mode."""
    return self.first_stage.consts()

  def agrees(self) -> dict[str, tuple[str, Any]]:
    """What a frozen network of it agrees in, and shapes do not tell."""
    names = ["first_stage.variant", "degraded.factor"]
    names += ["dims.norm_groups", "swin.mask"]
    names += [] if self.swin.trained else ["size"]
    own = {n: (f"method.{n}", operator.attrgetter(n)(self)) for n in names}
    return own | self.noise.agrees() | latent_channels.agrees(self.first_stage)

  def example(self) -> tuple[Array, Array, Array]:
    """(state, time, input) of one example, zeros."""
    x, low = (jnp.zeros((1, *s)) for s in (self.shape, self.space.low))
    return x, jnp.zeros(1, jnp.int32), low

  def init(self, key, batch) -> tuple[method.Tree, method.Tree]:
    """Parameters; no extra state."""
    del batch
    return {"main": self.net().init(key, *self.example())["params"]}, {}

  def draw(self, keys, batch, step) -> method.Draws:
    """t [b], noise; posterior; numbers of the degradation."""
    del step
    b = method.batch_size(batch)
    return self.noise.draw(keys, (b, *self.shape)) | self.space.draw(keys, b)

  def loss(self, weights, batch, draws, step, player="main") -> method.Loss:
    """Mean squared error of the prediction of z."""
    del step, player
    return self.error(weights, batch, draws).mean(), {}

  def error(
    self, weights: method.Weights, batch: method.Batch, draws: method.Draws
  ) -> Array:
    """[b] squared error of F at the drawn times."""
    seen, t = self.space.seen(weights, batch, draws), draws["t"]
    x = self.noise.add(seen.z, seen.y, t, draws["noise"])
    made = self.network(weights.params["main"], x, t, seen.low)
    return ((made - seen.z) ** 2).mean((1, 2, 3))

  def network(
    self, params: method.Tree, x: Array, t: Array, low: Array
  ) -> Array:
    """F [b, h, w, c] of a state x at times t [b], which it scales."""
    inside = self.noise.inside(x, t)
    return self.net().apply({"params": params}, inside, t, low)

  def predict(self) -> dict[str, method.Predict]:
    """errors; restore, where there is a way to images."""
    restore = {"restore": self.restore} if self.first_stage.decodes else {}
    return {"errors": self.errors, **restore}

  def errors(self, weights, batch, key) -> dict[str, Array]:
    """x0 [b]: squared error of F at random times."""
    return {"x0": self.error(weights, batch, self.drawn(key, batch))}

  def restore(self, weights, batch, key) -> dict[str, Array]:
    """image, target and input, in -1 .. 1."""
    walk = functools.partial(self.walked, weights.params["main"])
    return self.space.restored(weights, batch, key, walk)

  def walked(
    self, params: method.Tree, y: Array, low: Array, normal: residual.Normal
  ) -> Array:
    """z at the end of the walk from y."""
    network = functools.partial(self.network, params, low=low)
    return self.sampling.walk(self.noise, network, y=y, normal=normal)[0]
