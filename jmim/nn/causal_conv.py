"""Pieces of causal networks of clips: no frame sees one that comes later.

Clips are [b, t, h, w, c]. A convolution has all the frames that its kernel
misses put in front of the first one: zeros, as torch pads them, or the first
frame itself. Norms are of single frames. The shuffles turn squares of time and
space into channels and back, and keep 1 + p k frames and 1 + k apart: frames
are added in front on the way there, and left out on the way back.
"""

from collections.abc import Callable

import einops
import flax.linen as nn
import jax
import jax.numpy as jnp

from jmim.core import runtime
from jmim.nn import conv

FRONTS = ("zeros", "first")


class CausalConv(nn.Module, kw_only=True):
  """A 3-D convolution whose result at t depends on frames up to t s alone.

  The kernel is [side, side, side, c, width], time first; in space it is padded
  by side // 2 zeros on every side. Of t frames (t + s - 1) // s are left, with
  s = stride[0].

  Attributes:
    width: output channels.
    side: of the kernel, odd.
    stride: of time, rows and columns.
    front: what stands before the first frame, one of FRONTS.
    rt: execution choices.
  """

  width: int
  side: int = 3
  stride: tuple[int, int, int] = (1, 1, 1)
  front: str = "zeros"
  rt: runtime.Runtime = runtime.Runtime()

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """[b, t, h, w, c] -> [b, t', h', w', width]."""
    shape = (*(self.side,) * 3, x.shape[-1], self.width)
    kernel = self.param("kernel", conv.TORCH, shape)
    bias = self.param("bias", nn.initializers.zeros, (self.width,))
    x, kernel, bias = (a.astype(self.rt.dtype) for a in (x, kernel, bias))
    pad, before = self.side // 2, self.side - 1
    if self.front == "first":
      x, before = led(x, before, "first"), 0
    y = jax.lax.conv_general_dilated(
      x,
      kernel,
      self.stride,
      ((before, 0), (pad, pad), (pad, pad)),
      dimension_numbers=("NTHWC", "THWIO", "NTHWC"),
    )
    return self.rt.shard(y + bias)


def led(x: jax.Array, frames: int, front: str = "zeros") -> jax.Array:
  """[b, t, ...] -> [b, frames + t, ...]: zeros or the first frame in front.

  Raises:
    ValueError: another word than those of FRONTS.
  """
  if front not in FRONTS:
    raise ValueError(f"front {front!r} is none of {', '.join(FRONTS)}")
  first = x[:, :1] if front == "first" else jnp.zeros_like(x[:, :1])
  return jnp.concatenate([*[first] * frames, x], axis=1)


def by_frame(
  fn: Callable[[jax.Array], jax.Array], x: jax.Array, *more: jax.Array
) -> jax.Array:
  """fn of all frames as a batch: [b, t, ...] -> [b, t, ...].

  Args:
    fn: [n, h, w, c], and as many of each of `more`, to [n, ...].
    x: the clips.
    *more: of the same b and t.
  """
  flat = (a.reshape(-1, *a.shape[2:]) for a in (x, *more))
  y = fn(*flat)
  return y.reshape(*x.shape[:2], *y.shape[1:])


def frame_norm(
  rt: runtime.Runtime, groups: int, name: str, eps: float = 1e-5
) -> Callable[[jax.Array], jax.Array]:
  """GroupNorm of clips whose statistics are those of each frame."""
  norm = conv.group_norm(rt, groups, name, eps)
  return lambda x: by_frame(norm, x)


def shuffle(x: jax.Array, times: int) -> jax.Array:
  """[b, t, h, w, c p^3] -> [b, t p - (p - 1), h p, w p, c], p = times.

  The channel is slowest, then time, rows, columns; the first p - 1 frames,
  which `unshuffle` had added, are left out.
  """
  p = times
  y = einops.rearrange(
    x, "b t h w (c p q r) -> b (t p) (h q) (w r) c", p=p, q=p, r=p
  )
  return y[:, p - 1 :]


def unshuffle(x: jax.Array, times: int) -> jax.Array:
  """[b, t p - (p - 1), h p, w p, c] -> [b, t, h, w, c p^3], p = times.

  p - 1 frames of zeros are added in front; inverse of `shuffle`.

  Raises:
    ValueError: frames or sides that do not divide.
  """
  p, (_, t, h, w, _) = times, x.shape
  if (t - 1) % p or h % p or w % p:
    raise ValueError(
      f"clips {x.shape}: cubes of {p} take 1 + {p} k frames, and sides that "
      f"divide by {p}"
    )
  return einops.rearrange(
    led(x, p - 1), "b (t p) (h q) (w r) c -> b t h w (c p q r)", p=p, q=p, r=p
  )


def grouped(x: jax.Array, width: int) -> jax.Array:
  """[..., width g] -> [..., width], the mean of each g neighbours."""
  return einops.reduce(x, "... (c g) -> ... c", "mean", c=width)


def spread(x: jax.Array, width: int) -> jax.Array:
  """[..., c] -> [..., width]: each channel width / c times, side by side."""
  return jnp.repeat(x, width // x.shape[-1], axis=-1)
