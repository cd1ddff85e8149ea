"""An autoencoder of clips seen frame by frame, and which of its layers learn.

Perceptual losses and critics are of images: frames of clips are a batch there.
"""

import dataclasses
from typing import Any

import jax

from jmim.core import method
from jmim.nn.nets import video_codec
from jmim.nn.nets import video_sizes

_DUAL = r"(en|de)coder/conv_(un)?patchify/|encoder/conv_out/|decoder/conv_in/"
# What learns -> regex of the autoencoder's layers that do.
TRAINED = {
  "all": r"",
  "middle": _DUAL + r"|/middle_",
  "dual": _DUAL,
}


def frozen(trains: str) -> tuple[method.Group, ...]:
  """Groups for all layers of the player "autoencoder" but those that learn.

  Args:
    trains: of TRAINED.
  """
  if trains == "all":
    return ()
  others = rf"^autoencoder/(?!.*({TRAINED[trains]}))"
  return (method.Group(pattern=others, frozen=True),)


def check_trained(size: video_sizes.Size, trains: str) -> None:
  """Raises ValueError for stages of training that a size does not have."""
  if trains != "all" and not size.dual:
    raise ValueError(
      f"trains {trains!r}, but dims.variant has no dual paths: 'all'"
    )


def check(size: video_sizes.Size, side: int, frames: int) -> None:
  """Raises ValueError unless a clip can be coded, in chunks of one length.

  Args:
    size: of the autoencoder.
    side: of the frames.
    frames: of a clip in training.
  """
  size.check(side, frames)
  if size.chunk and frames > size.chunk and frames % size.chunk:
    raise ValueError(
      f"frames {frames}: one chunk, or several of dims.chunk {size.chunk}"
    )


@dataclasses.dataclass(frozen=True)
class Frames:
  """The autoencoder with frames [b t, h, w, c] in place of clips.

  Attributes:
    net: the autoencoder; its chunks are clips of their own.
  """

  net: video_codec.VideoCodec

  def chunks(self, x: jax.Array, chunk: int) -> jax.Array:
    """[b, n chunk, ...] -> [b n, chunk, ...]; 0, or a short clip: as it is."""
    if not chunk or x.shape[1] <= chunk:
      return x
    return x.reshape(-1, chunk, *x.shape[2:])

  def frames(self, x: jax.Array) -> jax.Array:
    """[b, t, ...] -> [b t, ...]."""
    return x.reshape(-1, *x.shape[2:])

  def pixels(self, params: Any, features: jax.Array) -> jax.Array:
    """Features [b, T', H, W, c] of chunks -> frames [b T, H, W, c]."""
    return self.frames(self.net.pixels(params, features))
