"""A first stage of images or of clips, or none: pixels to latents and back.

Images are [b, h, w, c], clips [b, t, h, w, c]. An autoencoder of images sees
each frame of a clip alone; one of clips the whole clip, or also each frame.
Without one pixels are the latents, perhaps folded.
"""

import dataclasses
from collections.abc import Callable
from collections.abc import Mapping
from typing import Any

import jax

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
VARIANTS = (*anysize.VARIANTS, *video_sizes.SIZES)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Stage:
  """An autoencoder, or none, and how it looks at clips.

  Attributes:
    variant: of VARIANTS.
    net: the autoencoder; None: pixels are folded.
    by_frame: an autoencoder of clips sees each frame alone.
    codes: of the codebook; 0: none.
    implicit: function behind a decoder of images; without layers: none.
  """

  variant: str
  net: Net | None
  by_frame: bool
  codes: int
  implicit: liif.Dims

  @property
  def factor(self) -> int:
    """Side of an image over that of its latents."""
    return self.net.size.factor if self.net else 1 + (self.variant == "fold2")

  @property
  def whole(self) -> bool:
    """Whether clips are seen as a whole."""
    return self.of_clips and not self.by_frame

  @property
  def of_clips(self) -> bool:
    """Whether the autoencoder is one of clips."""
    return isinstance(self.net, video_codec.VideoCodec)

  def check(self, shape: tuple[int, ...]) -> None:
    """Raises ValueError for an autoencoder with what it cannot have.

    Args:
      shape: of the latents.
    """
    if self.by_frame and not self.of_clips:
      raise ValueError(
        f"first_stage.by_frame with first_stage.variant {self.variant!r}, "
        "which sees frame by frame as it is"
      )
    if not self.net:
      return
    anysize.check(self.variant, self.codes, self.implicit)
    if self.of_clips and _entry(shape) == "image":
      raise ValueError(
        f"first_stage.variant {self.variant!r} codes clips, and this method "
        "diffuses images: choose one of images"
      )
    if self.of_clips and self.implicit.present:
      raise ValueError(
        f"first_stage.implicit.hidden={self.implicit.hidden} with "
        f"first_stage.variant {self.variant!r}: it is behind kl and ae"
      )
    if shape[-1] != self.net.size.code:
      raise ValueError(
        f"channels {shape[-1]}, but latents have {self.net.size.code}"
      )

  def moments(self, shape: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
    """The entry of stored moments, or codes, and its shape; see `pixels`."""
    return {"moments": (*shape[:-1], (1 + self.net.gaussian) * shape[-1])}

  def pixels(self, shape: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
    """Entry of a batch -> its shape, where the latents have `shape`.

    Args:
      shape: [h, w, c], or of clips [t, h, w, c].

    Raises:
      ValueError: sides or channels that no pixels have.
    """
    name, frames = _entry(shape), shape[:-3]
    if not self.net:
      return {name: (*frames, *patch.unfolded(shape[-3:], self.factor))}
    size, sides = self.net.size, [n * self.factor for n in shape[-3:-1]]
    for side in sides:
      size.check(side)
    if self.whole:
      frames = (size.frames(shape[0]),)
    return {name: (*frames, *sides, size.channels)}

  def encode(self, params: Any, batch: Mapping[str, jax.Array]) -> jax.Array:
    """Moments or codes, or folded pixels, of the clips or images of a batch.

    Args:
      params: of the autoencoder; without one they are not read.
      batch: with "video", or else "image".
    """
    x = batch["video"] if "video" in batch else batch["image"]
    if not self.net:
      return _on_images(lambda x: patch.fold(x, self.factor), x)
    return self._seen(lambda x: self.net.encode(params, x)[0], x)

  def decode(self, params: Any, z: jax.Array) -> jax.Array:
    """Latents -> images, or clips."""
    if not self.net:
      return _on_images(lambda x: patch.unfold(x, self.factor), z)
    return self._seen(lambda z: self.net.decode(params, z), z)

  def _seen(self, fn, x):
    """fn of images, or of clips, as the autoencoder sees them."""
    if not self.of_clips:
      return _on_images(fn, x)
    if self.whole:
      return fn(x)
    return causal_conv.by_frame(lambda f: fn(f[:, None])[:, 0], x)


def build(
  variant: str,
  *,
  by_frame: bool,
  width: int,
  blocks: int,
  codes: int,
  implicit: liif.Dims,
  rt: runtime.Runtime,
) -> Stage:
  """The stage of a variant.

  Args:
    variant: as of `Stage`; so are by_frame, codes and implicit.
    by_frame: each frame is seen alone.
    width: of the finest level, or first convolution; 0: that of the variant.
    blocks: per level; 0: those of the variant.
    codes: of the codebook.
    implicit: function behind a decoder.
    rt: execution choices.
  """
  sizes, about = dict(width=width, blocks=blocks), dict(implicit=implicit)
  if variant in video_sizes.SIZES:
    size = video_sizes.size(variant, **sizes)
    net = video_codec.VideoCodec(size=size, rt=rt)
  else:
    net = anysize.build(variant, codes=codes, rt=rt, **sizes, **about)
  about |= dict(by_frame=by_frame, codes=codes)
  return Stage(variant=variant, net=net, **about)


def _entry(shape: tuple[int, ...]) -> str:
  """What a batch calls pixels whose latents have this shape."""
  return "video" if len(shape) == 4 else "image"


def _on_images(fn: Fn, x: jax.Array) -> jax.Array:
  """fn of images [b, h, w, c], or of each frame of clips [b, t, h, w, c]."""
  return fn(x) if x.ndim == 4 else causal_conv.by_frame(fn, x)
