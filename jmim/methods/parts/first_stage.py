"""Images or latents: a frozen first stage between images and what is diffused.

    z = scale (mean + std noise - shift)     a sample of the posterior (KL)
    z = scale (E(x) - shift)                 before quantisation (VQ), or plain
    z = scale ((z - m_c) / s_c - shift)      with `statistics` of the channels

Latents are made of stored moments (`python -m jmim.tools.cache_latents`) or of
the images themselves. The posterior's noise is among the draws, so that every
step sees a fresh sample. Without a first stage the images are the latents, or
("fold2") their squares of 2 x 2 pixels: exact both ways, and noise stays noise.
With an implicit function behind its decoder they are decoded at any size.

Clips have frames before rows, [b, t, h, w, c], and are the entry `video` of a
batch. A first stage of images codes each frame; see `nn.nets.stages`.
"""

import dataclasses

import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import method
from jmim.core import randomness
from jmim.core import runtime
from jmim.methods.parts import latent_channels
from jmim.nn import liif
from jmim.nn.nets import autoencoder
from jmim.nn.nets import stages


@dataclasses.dataclass(frozen=True, kw_only=True)
class FirstStage:
  """Which autoencoder, what is read, and the way there and back."""

  variant: str = field.value(
    "none",
    "frozen autoencoder, of `nn.nets.stages`; fold2: squares of pixels",
    choices=stages.VARIANTS,
    was="first_stage",
  )
  path: str = field.value(
    "", "weights, a run or .npz; empty: no decoding", was="first_stage_path"
  )
  sha256: str = field.value(
    "", "hash of the weights' file; empty: any", was="first_stage_sha256"
  )
  width: int = field.value(
    0, "finest level; 0: that of variant", low=0, was="first_stage_width"
  )
  blocks: int = field.value(
    0, "blocks per level; 0: those of variant", low=0, was="first_stage_blocks"
  )
  codes: int = field.value(
    0, "codebook size, needed with vq", low=0, was="first_stage_codes"
  )
  read: str = field.value(
    "moments", "input with a first stage", choices=("moments", "images")
  )
  scale: float = field.value(
    0.18215,
    "factor of the latents (Stable Diffusion's); 0: 1 / std of the first batch",
    low=0,
    was="latent_scale",
  )
  shift: float = field.value(0.0, "subtracted after statistics, before scale")
  by_frame: bool = field.value(
    False, "a first stage of clips codes each frame alone, as those of images"
  )
  statistics: str = field.value(
    "", "mean, std of channels (`tools.latent_statistics`); empty: none"
  )
  implicit: liif.Dims = field.part(
    liif.Dims, "implicit function behind the decoder", hidden=()
  )
  rt: runtime.Runtime = field.runtime()

  @property
  def stage(self) -> stages.Stage:
    """The autoencoder, or squares, and how clips are seen."""
    names = ("by_frame", "width", "blocks", "codes", "implicit", "rt")
    return stages.build(self.variant, **{n: getattr(self, n) for n in names})

  @property
  def net(self) -> stages.Net | None:
    """The autoencoder, if there is one."""
    return self.stage.net

  @property
  def decodes(self) -> bool:
    """Whether there is a way from what is diffused to images."""
    return not self.net or bool(self.path)

  @property
  def measured(self) -> bool:
    """Whether the scale is that of the first batch, kept in `extra`."""
    return self.net is not None and not self.scale

  @property
  def factor(self) -> int:
    """Side of an image over that of what is diffused."""
    return self.stage.factor

  def inputs(
    self, shape: tuple[int, ...], measures: bool = False
  ) -> dict[str, method.Input]:
    """Images, clips or moments, where `shape` is diffused.

    Args:
      shape: [h, w, c], of clips [t, h, w, c].
      measures: the method keeps the scale of the first batch in its `extra`.

    Raises:
      ValueError: fields that do not go together.
    """
    self.stage.check(shape)
    latent_channels.check(self.statistics, self.shift, self.stage)
    if self.measured and not measures:
      raise ValueError("first_stage.scale 0: this method measures none")
    stored = self.net and self.read == "moments"
    found = (self.stage.moments if stored else self.stage.pixels)(shape)
    return {name: method.Input(x) for name, x in found.items()}

  def consts(self) -> dict[str, method.Const]:
    """The first stage, where it codes or decodes, and the statistics."""
    found = latent_channels.consts(self.statistics, self.net)
    if not self.net or self.read == "moments" and not self.decodes:
      return found
    init, scale = self.net.init, ("method.first_stage.scale", self.scale)
    more = dict(agrees={"latent_scale": scale}, key="method.first_stage.path")
    found["first_stage"] = method.Const(self.path, init, self.sha256, **more)
    return found

  def draw(self, keys: randomness.Keys, shape: tuple[int, ...]) -> method.Draws:
    """posterior: noise like `shape` of a KL first stage, or nothing."""
    if not self.net or not self.net.gaussian:
      return {}
    return {"posterior": jax.random.normal(keys("posterior"), shape)}

  def unscaled(
    self, weights: method.Weights, batch: method.Batch, draws: method.Draws
  ) -> jax.Array:
    """[b, (t,) h, w, c] latents before their scale; no gradient."""
    z = latent_channels.moments(self.stage, self.read, weights, batch)
    if "posterior" in draws:
      z = autoencoder.drawn(z, draws["posterior"])
    return latent_channels.normalised(weights, z, self.shift)

  def encode(
    self, weights: method.Weights, batch: method.Batch, draws: method.Draws
  ) -> jax.Array:
    """[b, (t,) h, w, c] what is diffused: scaled latents, or the pixels."""
    if not self.net:
      return self.stage.encode(None, batch)
    z = self.unscaled(weights, batch, draws)
    return self.factor_of(weights, z) * z

  def decode(self, weights: method.Weights, z: jax.Array) -> jax.Array:
    """What was diffused [b, (t,) h, w, c] -> images, or clips."""
    if not self.net:
      return self.stage.decode(None, z)
    z = z / self.factor_of(weights)
    z = latent_channels.restored(weights, z, self.shift)
    return self.stage.decode(weights.consts["first_stage"], z)

  def factor_of(
    self, weights: method.Weights, z: jax.Array | None = None
  ) -> jax.Array | float:
    """The scale; measured on z where it has not been yet (1 without z)."""
    if not self.measured:
      return self.scale
    kept, fresh = weights.extra["scale"], 1.0 if z is None else 1 / z.std()
    return jnp.where(kept > 0, kept, fresh)

  def extra(self) -> dict[str, jax.Array]:
    """What a method keeps in `extra`: the scale, 0 until it is measured."""
    return {"scale": jnp.float32(0)} if self.measured else {}

  def settled(
    self, weights: method.Weights, batch: method.Batch, draws: method.Draws
  ) -> method.Weights:
    """Weights with their scale: that of this batch, if there was none yet.

    A step begins with it: what it makes of other images, and what it decodes,
    then has the scale of its latents also where that is measured first.
    """
    if not self.measured:
      return weights
    scale = self.factor_of(weights, self.unscaled(weights, batch, draws))
    return dataclasses.replace(weights, extra={**weights.extra, "scale": scale})

  def told(self, weights: method.Weights) -> dict[str, jax.Array]:
    """latent_scale of settled weights, which is to be kept; or nothing."""
    return {"latent_scale": weights.extra["scale"]} if self.measured else {}
