"""Images or latents: a frozen first stage between images and what is diffused.

    z = scale (mean + std noise)             a sample of the posterior (KL)
    z = scale E(x)                           before quantisation (VQ), or plain

Latents are made of stored moments (`python -m jmim.tools.cache_latents`) or of
the images themselves. The posterior's noise is among the draws, so that every
step sees a fresh sample. Without a first stage the images are the latents, or
("fold2") their squares of 2 x 2 pixels: exact both ways, and noise stays noise.
With an implicit function behind its decoder they are decoded at any size.

Of clips [b, t, H, W, c] each frame is an image to a first stage of images. One
of clips (`nn.nets.video_codec`) sees a clip as a whole, whose latents have
fewer frames, or also (`by_frame`) each frame alone. What is diffused has then
an axis of frames, [b, t, h, w, c], and the batch's entry is `video`.
"""

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import method
from jmim.core import randomness
from jmim.core import runtime
from jmim.nn import causal_conv
from jmim.nn import liif
from jmim.nn import patch
from jmim.nn.nets import anysize
from jmim.nn.nets import autoencoder
from jmim.nn.nets import video_codec
from jmim.nn.nets import video_sizes

Net = autoencoder.Autoencoder | anysize.AnySize | video_codec.VideoCodec
Fn = Callable[[jax.Array], jax.Array]


@dataclasses.dataclass(frozen=True, kw_only=True)
class FirstStage:
  """Which autoencoder, what is read, and the way there and back."""

  variant: str = field.value(
    "none",
    "frozen autoencoder, see `nn.nets.codec.SIZES`, of clips "
    "`nn.nets.video_sizes.SIZES`; fold2: squares of pixels",
    choices=(*anysize.VARIANTS, *video_sizes.SIZES),
    was="first_stage",
  )
  path: str = field.value(
    "",
    "weights, a run or .npz; empty: moments only, hence no decoding",
    was="first_stage_path",
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
  shift: float = field.value(
    0.0, "subtracted from the latents before their scale"
  )
  by_frame: bool = field.value(
    False, "a first stage of clips sees each frame alone, as those of images do"
  )
  implicit: liif.Dims = field.part(
    liif.Dims, "implicit function behind the decoder", hidden=()
  )
  rt: runtime.Runtime = field.runtime()

  @property
  def of_clips(self) -> bool:
    """Whether the autoencoder is one of clips."""
    return self.variant in video_sizes.SIZES

  @property
  def net(self) -> Net | None:
    """The autoencoder, if there is one."""
    if self.of_clips:
      changes = {"width": self.width, "blocks": self.blocks}
      size = video_sizes.size(self.variant, **changes)
      return video_codec.VideoCodec(size=size, rt=self.rt)
    names = ("width", "blocks", "codes", "implicit", "rt")
    return anysize.build(self.variant, **{n: getattr(self, n) for n in names})

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
    return self.net.size.factor if self.net else 1 + (self.variant == "fold2")

  def inputs(
    self, shape: tuple[int, ...], measures: bool = False
  ) -> dict[str, method.Input]:
    """Images, clips or moments, where `shape` is diffused.

    Args:
      shape: of what is diffused, [h, w, c]; of clips [t, h, w, c].
      measures: the method keeps the scale of the first batch in its `extra`.

    Raises:
      ValueError: fields that do not go together.
    """
    entry, frames = ("image", "video")[len(shape) - 3], shape[:-3]
    if not self.net:
      pixels = patch.unfolded(shape[-3:], self.factor)
      return {entry: method.Input((*frames, *pixels))}
    size, moments = self.net.size, (1 + self.net.gaussian) * shape[-1]
    self._check(entry)
    if self.measured and not measures:
      raise ValueError("first_stage.scale 0: this method measures none")
    if shape[-1] != size.code:
      raise ValueError(f"channels {shape[-1]}, but latents have {size.code}")
    if self.read == "images":
      sides = [n * size.factor for n in shape[-3:-1]]
      if self.of_clips and not self.by_frame:
        frames = (size.frames(shape[0]),)
      for side in sides:
        size.check(side)
      return {entry: method.Input((*frames, *sides, size.channels))}
    return {"moments": method.Input((*shape[:-1], moments))}

  def _check(self, entry):
    """Raises ValueError for fields that do not go together."""
    anysize.check(self.variant, self.codes, self.implicit)
    if self.of_clips and entry == "image":
      raise ValueError(
        f"first_stage.variant {self.variant!r} codes clips, and this method "
        "diffuses images: choose one of images"
      )
    if self.of_clips and self.implicit.hidden:
      raise ValueError(
        f"first_stage.implicit.hidden={self.implicit.hidden} with "
        f"first_stage.variant {self.variant!r}: it is behind kl and ae"
      )

  def consts(self) -> dict[str, method.Const]:
    """The first stage, where it is needed: to encode, or to decode."""
    if not self.net or self.read == "moments" and not self.decodes:
      return {}
    init, scale = self.net.init, ("method.first_stage.scale", self.scale)
    more = dict(agrees={"latent_scale": scale}, key="method.first_stage.path")
    return {"first_stage": method.Const(self.path, init, self.sha256, **more)}

  def draw(
    self, keys: randomness.Keys, shape: tuple[int, ...]
  ) -> dict[str, jax.Array]:
    """posterior: noise like `shape` of a KL first stage, or nothing."""
    if not self.net or not self.net.gaussian:
      return {}
    return {"posterior": jax.random.normal(keys("posterior"), shape)}

  def unscaled(
    self, weights: method.Weights, batch: method.Batch, draws: method.Draws
  ) -> jax.Array:
    """[b, h, w, c] or of clips [b, t, h, w, c] latents before their scale.

    No gradient goes through them.
    """
    if self.read == "moments":
      z = batch["moments"].astype(jnp.float32)
    else:
      z = self._encoded(weights.consts["first_stage"], _pixels(batch))
    if "posterior" in draws:
      z = autoencoder.drawn(z, draws["posterior"])
    return jax.lax.stop_gradient(z)

  def encode(
    self, weights: method.Weights, batch: method.Batch, draws: method.Draws
  ) -> jax.Array:
    """[b, h, w, c] what is diffused: scaled latents, or the images.

    Of clips [b, t, h, w, c].
    """
    if not self.net:
      fold = lambda x: patch.fold(x, self.factor)
      return _on_images(fold, _pixels(batch))
    z = self.unscaled(weights, batch, draws)
    return self.factor_of(weights, z) * (z - self.shift)

  def decode(self, weights: method.Weights, z: jax.Array) -> jax.Array:
    """What was diffused [b, h, w, c] -> images; [b, t, h, w, c] -> clips."""
    if not self.net:
      return _on_images(lambda x: patch.unfold(x, self.factor), z)
    z = z / self.factor_of(weights) + self.shift
    decode = lambda z: self.net.decode(weights.consts["first_stage"], z)
    if not self.of_clips:
      return _on_images(decode, z)
    return _alone(decode, z) if self.by_frame else decode(z)

  def _encoded(self, params, x):
    """Moments or codes of images, or of clips."""
    encode = lambda x: self.net.encode(params, x)[0]
    if not self.of_clips:
      return _on_images(encode, x)
    return _alone(encode, x) if self.by_frame else encode(x)

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


def _pixels(batch: method.Batch) -> jax.Array:
  """The images of a batch, or its clips."""
  return batch["video"] if "video" in batch else batch["image"]


def _on_images(fn: Fn, x: jax.Array) -> jax.Array:
  """fn of images [b, h, w, c], or of each frame of clips [b, t, h, w, c]."""
  return fn(x) if x.ndim == 4 else causal_conv.by_frame(fn, x)


def _alone(fn: Fn, x: jax.Array) -> jax.Array:
  """fn of clips, each frame of [b, t, h, w, c] a clip of its own."""
  return causal_conv.by_frame(lambda f: fn(f[:, None])[:, 0], x)
