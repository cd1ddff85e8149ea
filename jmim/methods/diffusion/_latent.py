"""Latent mode: a frozen first stage between images and what is diffused.

    z = scale (mean + deviation noise)       a sample of the posterior (KL)
    z = scale E(x)                           before quantisation (VQ)

Methods diffuse `batch["image"]`; `latents` puts z in its place, made of stored
moments (`python -m jmim.tools.cache_latents`) or of the images themselves. The
noise is among the draws, so that every step sees a fresh sample.
"""

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import method
from jmim.nn.nets import autoencoder
from jmim.nn.nets import codec

FIRST_STAGES = ("none", *codec.SIZES)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Latent(method.Method):
  """Fields of the first stage, and the way there and back."""

  size: int = field.value(
    32, "side of what is diffused, in pixels or latents", low=1
  )
  channels: int = field.value(3, "its channels", low=1)
  first_stage: str = field.value(
    "none",
    "frozen autoencoder, see `nn.nets.codec.SIZES`",
    choices=FIRST_STAGES,
  )
  first_stage_path: str = field.value(
    "", "its weights: a run, or .npz; '' with moments: no way back to images"
  )
  first_stage_sha256: str = field.value("", "hash of that file; empty: any")
  first_stage_width: int = field.value(
    0, "its finest level; 0: that of the variant", low=0
  )
  first_stage_blocks: int = field.value(
    0, "its blocks per level; 0: those of the variant", low=0
  )
  first_stage_codes: int = field.value(
    0, "its codebook; needed where it is quantised", low=0
  )
  read: str = field.value(
    "moments", "with a first stage", choices=("moments", "images")
  )
  latent_scale: float = field.value(
    0.18215, "factor of the latents (Stable Diffusion's)", above=0
  )

  @property
  def stage(self) -> autoencoder.Autoencoder | None:
    """The first stage, if there is one."""
    if self.first_stage == "none":
      return None
    size = codec.size(
      self.first_stage,
      width=self.first_stage_width,
      blocks=self.first_stage_blocks,
    )
    return autoencoder.Autoencoder(size, self.first_stage_codes, self.rt)

  @property
  def decodes(self) -> bool:
    """Whether there is a way from what is diffused to images."""
    return not self.stage or bool(self.first_stage_path)

  @property
  def shape(self) -> tuple[int, int, int]:
    """Of what is diffused."""
    return (self.size, self.size, self.channels)

  def image_inputs(self) -> dict[str, method.Input]:
    """Images, or moments.

    Raises:
      ValueError: fields that do not go together.
    """
    if not self.stage:
      return {"image": method.Input(self.shape)}
    size, kl = self.stage.size, self.first_stage.startswith("kl")
    if self.channels != size.code:
      raise ValueError(
        f"channels {self.channels}, but latents have {size.code}"
      )
    if kl == bool(self.first_stage_codes):
      raise ValueError(
        f"first_stage_codes {self.first_stage_codes} with first_stage "
        f"{self.first_stage!r}: vq needs some, kl has none"
      )
    if self.read == "images":
      side = self.size * size.factor
      size.check(side)
      return {"image": method.Input((side, side, size.channels))}
    moments = (*self.shape[:2], (1 + kl) * self.channels)
    return {"moments": method.Input(moments)}

  def consts(self):
    """The first stage, where it is needed: to encode, or to decode."""
    if not self.stage or self.read == "moments" and not self.decodes:
      return {}
    path, sha256 = self.first_stage_path, self.first_stage_sha256 or None
    return {"first_stage": method.Const(path, self.stage.init, sha256)}

  def draw_latents(self, key, n: int) -> dict[str, jax.Array]:
    """noise of the posterior [n, h, w, c], with a KL first stage."""
    if not self.stage or self.stage.codes:
      return {}
    return {"posterior": jax.random.normal(key, (n, *self.shape))}

  def encoded(self, consts, batch, draws) -> jax.Array:
    """[b, h, w, c] latents that are not scaled; no gradient."""
    if self.read == "moments":
      found = batch["moments"].astype(jnp.float32)
    else:
      found, _ = self.stage.encode(consts["first_stage"], batch["image"])
    if "posterior" in draws:
      found = autoencoder.drawn(found, draws["posterior"])
    return jax.lax.stop_gradient(found)

  def scale(self, extra, z=None) -> jax.Array | float:
    """Factor of the latents z."""
    del extra, z
    return self.latent_scale

  def latents(self, consts, batch, draws, extra=None):
    """The batch with what is diffused as its "image"."""
    if not self.stage:
      return batch
    z = self.encoded(consts, batch, draws)
    return {**batch, "image": self.scale(extra, z) * z}

  def decode(self, consts, z, extra=None) -> jax.Array:
    """What was diffused -> images."""
    if not self.stage:
      return z
    return self.stage.decode(consts["first_stage"], z / self.scale(extra))

  def on_latents(self, fn: Callable) -> Callable:
    """A `predict` function that is handed latents in place of images."""
    if not self.stage:
      return fn

    def call(params, extra, consts, batch, key):
      draws = self.draw(key, batch, 0)
      batch = self.latents(consts, batch, draws, extra)
      return fn(params, extra, consts, batch, key)

    return call

  def predictions(self, *names: str) -> dict[str, method.Predict]:
    """Functions of these names on latents, and `sample` if it can decode."""
    found = {n: self.on_latents(getattr(self, n)) for n in names}
    return found | ({"sample": self.sample} if self.decodes else {})
