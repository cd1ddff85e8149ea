"""Changes of layout: an array of theirs as one of ours, and back.

Each works on the array of one layer, without the axis that counts layers here.
"""

import dataclasses
from collections.abc import Callable

import einops
import numpy as np

Array = np.ndarray


@dataclasses.dataclass(frozen=True)
class Op:
  """A change of layout and its inverse."""

  to_ours: Callable[[Array], Array]
  to_theirs: Callable[[Array], Array]


SAME = Op(lambda x: x, lambda x: x)
# torch's linear map [out, in]; ours [in, out].
LINEAR = Op(lambda x: x.T, lambda x: x.T)
# One of several linear maps that are one array here, [many, in, out].
ONE_OF = Op(lambda x: x.T[None], lambda x: x[0].T)
# One number per head; theirs [h, 1, 1].
HEADS = Op(lambda x: x[:, 0, 0], lambda x: x[:, None, None])
# A token [d] and a table of positions [n, d]; ours begin with 1 image.
VECTOR = Op(lambda x: x[None, None], lambda x: x[0, 0])
MATRIX = Op(lambda x: x[None], lambda x: x[0])
# torch's convolution [out, in, row, column]; flax's [row, column, in, out].
CONV = Op(
  lambda x: einops.rearrange(x, "o i h w -> h w i o"),
  lambda x: einops.rearrange(x, "h w i o -> o i h w"),
)
# The same of clips, time before rows.
CONV3D = Op(
  lambda x: einops.rearrange(x, "o i t h w -> t h w i o"),
  lambda x: einops.rearrange(x, "t h w i o -> o i t h w"),
)
# torch's transposed convolution [in, out, row, column]; ours is turned.
TRANSPOSED = Op(
  lambda x: einops.rearrange(x[:, :, ::-1, ::-1], "i o h w -> h w i o"),
  lambda x: einops.rearrange(x[::-1, ::-1], "h w i o -> i o h w"),
)
# Convolutions of side 1, in two, one and three dimensions: linear maps here.
POINT = Op(lambda x: x[:, :, 0, 0].T, lambda x: x.T[:, :, None, None])
POINT1D = Op(lambda x: x[:, :, 0].T, lambda x: x.T[:, :, None])
POINT3D = Op(
  lambda x: x[:, :, 0, 0, 0].T, lambda x: x.T[:, :, None, None, None]
)


def one_of(op: Op) -> Op:
  """That of an array of which we have many, [1, ...] of ours at a time."""
  return Op(lambda x: op.to_ours(x)[None], lambda x: op.to_theirs(x[0]))


def patch_conv(patch: int) -> Op:
  """torch's convolution [d, c, p, p] with stride p <-> linear [(p p c), d].

  Args:
    patch: p, its side in pixels.
  """
  return Op(
    lambda x: einops.rearrange(x, "d c p q -> (p q c) d"),
    lambda x: einops.rearrange(x, "(p q c) d -> d c p q", p=patch, q=patch),
  )


def tubelet_conv(frames: int, patch: int) -> Op:
  """torch's convolution [d, c, f, p, p] in strides <-> linear [(f p p c), d].

  Args:
    frames: f, frames of a token.
    patch: p, its side in pixels.
  """
  sizes = dict(f=frames, p=patch, q=patch)
  return Op(
    lambda x: einops.rearrange(x, "d c f p q -> (f p q c) d"),
    lambda x: einops.rearrange(x, "(f p q c) d -> d c f p q", **sizes),
  )


def flax_patch_conv(patch: int) -> Op:
  """flax's convolution [p, p, c, d] with stride p <-> linear [(p p c), d].

  Args:
    patch: p, its side in pixels.
  """
  return Op(
    lambda x: einops.rearrange(x, "p q c d -> (p q c) d"),
    lambda x: einops.rearrange(x, "(p q c) d -> p q c d", p=patch, q=patch),
  )


def flax_heads(heads: int) -> tuple[Op, Op]:
  """flax's attention, whose heads are an axis, and ours, where they are not.

  Args:
    heads: h, number of heads of d features.

  Returns:
    (q, k or v, kernel [w, h, d] or bias [h, d] <-> [.., (h d)]; the kernel of
    the output, [h, d, w] <-> [(h d), w]); more axes may stand before.
  """
  inner = Op(
    lambda x: x.reshape(*x.shape[:-2], -1),
    lambda x: x.reshape(*x.shape[:-1], heads, -1),
  )
  outer = Op(
    lambda x: einops.rearrange(x, "... h d w -> ... (h d) w"),
    lambda x: einops.rearrange(x, "... (h d) w -> ... h d w", h=heads),
  )
  return inner, outer


def pixel_shuffle(side: int) -> tuple[Op, Op]:
  """Kernel and bias of a 1 x 1 convolution before torch's PixelShuffle.

  Its channels are (c p q), channel first; those of our linear map (p q c).

  Args:
    side: p, pixels of a token and axis.
  """
  sizes = dict(p=side, q=side)
  kernel = Op(
    lambda x: einops.rearrange(x, "(c p q) d 1 1 -> d (p q c)", **sizes),
    lambda x: einops.rearrange(x, "d (p q c) -> (c p q) d 1 1", **sizes),
  )
  bias = Op(
    lambda x: einops.rearrange(x, "(c p q) -> (p q c)", **sizes),
    lambda x: einops.rearrange(x, "(p q c) -> (c p q)", **sizes),
  )
  return kernel, bias
