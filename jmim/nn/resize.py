"""Images of another size, as torch's `interpolate` makes them, and padding.

Half-pixel centres (`align_corners=False`), borders clamped unless a kind says
otherwise. Images are NHWC, of any range: bicubic weights are partly negative,
and nothing is clipped.
"""

from typing import Any

import einops
import jax
import jax.numpy as jnp
import numpy as np


def centres(n_in: int, n_out: int) -> np.ndarray:
  """[n_out] centres of the new pixels, where the old ones are 0 .. n_in - 1."""
  return (np.arange(n_out) + 0.5) * (n_in / n_out) - 0.5


def cubic(t: Any, a: float, xp: Any = np) -> Any:
  """Keys' cubic kernel with parameter a at distances t >= 0 (1981).

  (a + 2) t^3 - (a + 3) t^2 + 1        t <= 1
  a t^3 - 5 a t^2 + 8 a t - 4 a        1 < t < 2

  Args:
    t: array of distances.
    a: -0.75 in torch, -0.5 where it antialiases, and in Pillow and MATLAB.
    xp: numpy, or jax.numpy where t is traced.
  """
  inner = (a + 2) * t**3 - (a + 3) * t**2 + 1
  outer = a * t**3 - 5 * a * t**2 + 8 * a * t - 4 * a
  return xp.where(t <= 1, inner, xp.where(t < 2, outer, 0.0))


def bilinear_matrix(n_in: int, n_out: int) -> np.ndarray:
  """[n_out, n_in] float64 weights of a bilinear resize of one axis.

  No antialiasing: a pixel is made of two, however much the axis shrinks.
  """
  centre = np.clip(centres(n_in, n_out), 0, n_in - 1)
  distance = np.abs(np.arange(n_in) - centre[:, None])
  return np.maximum(1 - distance, 0.0)


def corners_matrix(n_in: int, n_out: int) -> np.ndarray:
  """[n_out, n_in] float64, bilinear with `align_corners=True`: ends on ends."""
  centre = np.linspace(0, n_in - 1, n_out)
  distance = np.abs(np.arange(n_in) - centre[:, None])
  return np.maximum(1 - distance, 0.0)


def bicubic_matrix(n_in: int, n_out: int, a: float = -0.75) -> np.ndarray:
  """[n_out, n_in] float64 weights of torch's bicubic resize of one axis.

  `interpolate(mode="bicubic", align_corners=False)`: half-pixel centres,
  a = -0.75, borders clamped, no antialiasing. `jax.image.resize` uses
  a = -0.5 and antialiases, so it gives other numbers.
  """
  centre = centres(n_in, n_out)
  base = np.floor(centre).astype(int)
  weights = np.zeros((n_out, n_in))
  for tap in range(-1, 3):
    index = np.clip(base + tap, 0, n_in - 1)
    value = cubic(np.abs(centre - (base + tap)), a)
    np.add.at(weights, (np.arange(n_out), index), value)
  return weights


def smooth_matrix(n_in: int, n_out: int, a: float = -0.5) -> np.ndarray:
  """[n_out, n_in] float64 weights of torch's bicubic resize with antialias.

  The kernel is as wide as the axis shrinks, weights outside are left out, and
  a row sums to 1; a = -0.5 there, as in Pillow, whose weights these are.
  """
  factor = n_in / n_out
  distance = np.abs(np.arange(n_in) - centres(n_in, n_out)[:, None])
  weights = cubic(distance / max(factor, 1.0), a)
  return weights / weights.sum(1, keepdims=True)


def matlab_matrix(n_in: int, n_out: int, a: float = -0.5) -> np.ndarray:
  """[n_out, n_in] float64 weights of MATLAB's `imresize`, bicubic.

  As `smooth_matrix`, but what lies outside is the mirrored image, the border
  repeated (... 1 0 0 1 ... n-1 n-1 n-2 ...).
  """
  factor = max(n_in / n_out, 1.0)
  reach = int(np.ceil(2 * factor)) + 1
  place = np.arange(-reach, n_in + reach)
  distance = np.abs(place - centres(n_in, n_out)[:, None])
  wide = cubic(distance / factor, a)
  turned = place % (2 * n_in)
  index = np.minimum(turned, 2 * n_in - 1 - turned)
  weights = np.zeros((n_out, n_in))
  np.add.at(weights.T, index, wide.T)
  return weights / weights.sum(1, keepdims=True)


def area_matrix(n_in: int, n_out: int) -> np.ndarray:
  """[n_out, n_in] float64 weights of torch's "area": means of whole pixels.

  Pixel o is the mean of floor(o n_in / n_out) .. ceil((o + 1) n_in / n_out)
  - 1 (`adaptive_avg_pool`), the mean of a square where the size divides.
  """
  o, i = np.arange(n_out)[:, None], np.arange(n_in)
  inside = (i >= o * n_in // n_out) & (i < -(-(o + 1) * n_in // n_out))
  return inside / inside.sum(1, keepdims=True)


def nearest_matrix(n_in: int, n_out: int) -> np.ndarray:
  """[n_out, n_in] float64, 1 at floor(o n_in / n_out): torch's "nearest"."""
  found = np.arange(n_out) * n_in // n_out
  return (np.arange(n_in) == found[:, None]).astype(np.float64)


# "smooth" is bicubic with antialiasing.
MATRICES = {
  "bicubic": bicubic_matrix,
  "bilinear": bilinear_matrix,
  "corners": corners_matrix,
  "smooth": smooth_matrix,
  "matlab": matlab_matrix,
  "area": area_matrix,
  "nearest": nearest_matrix,
}


def images(
  x: jax.Array, sides: tuple[int, int], kind: str = "bicubic"
) -> jax.Array:
  """[b, h, w, c] -> [b, *sides, c]; of that size already: as they are.

  Args:
    x: images, of any range.
    sides: (height, width) of the result [pixels].
    kind: one of MATRICES.
  """
  if x.shape[1:3] == tuple(sides):
    return x
  rows, columns = (
    MATRICES[kind](n_in, n_out).astype(np.float32)
    for n_in, n_out in zip(x.shape[1:3], sides, strict=True)
  )
  # Pixels are targets: they are not rounded to bf16 where products are.
  y = jnp.einsum("yh,xw,bhwc->byxc", rows, columns, x, precision="highest")
  return y.astype(x.dtype)


def bicubic_at(x: jax.Array, places: jax.Array, a: float = -0.75) -> jax.Array:
  """Values between pixels: what a bicubic resize without antialias makes.

  A new pixel depends on its centre alone, so that single pixels of an image of
  any size can be had, and that size may be traced.

  Args:
    x: images [b, h, w, c].
    places: [b, q, 2] (row, column) in pixels of x, whose centres are 0, 1, ...
    a: of `cubic`.

  Returns:
    [b, q, c]. At `centres` of a grid, the pixels of `images` of that size.
  """
  index = jnp.floor(places)[..., None] + jnp.arange(-1.0, 3.0)  # [b, q, 2, 4]
  weights = cubic(jnp.abs(places[..., None] - index), a, jnp)
  last = jnp.asarray(x.shape[1:3])[:, None] - 1
  index = jnp.clip(index.astype(jnp.int32), 0, last)

  def one(image, at, w):
    seen = image[at[:, 0, :, None], at[:, 1, None, :]]  # [q, 4, 4, c]
    return jnp.einsum(
      "qi,qj,qijc->qc", w[:, 0], w[:, 1], seen, precision="highest"
    )

  return jax.vmap(one)(x, index, weights)


def shuffle(x: jax.Array, times: int) -> jax.Array:
  """[b, h, w, c p p] -> [b, h p, w p, c], p = times: torch's PixelShuffle.

  The channel is the slowest, the column inside a square the fastest; in
  `patch.unpatchify` the channel is the fastest.
  """
  p = times
  return einops.rearrange(x, "b h w (c p q) -> b (h p) (w q) c", p=p, q=p)


def unshuffle(x: jax.Array, times: int) -> jax.Array:
  """[b, h p, w p, c] -> [b, h, w, c p p]; inverse of `shuffle`."""
  p = times
  return einops.rearrange(x, "b (h p) (w q) c -> b h w (c p q)", p=p, q=p)


def reflected(x: jax.Array, multiple: int) -> jax.Array:
  """[b, h, w, c] with sides that divide, mirrored below and to the right.

  The border itself is not repeated (torch's `pad` with mode "reflect").

  Raises:
    ValueError: an image too small to be mirrored so far.
  """
  more = [-n % multiple for n in x.shape[1:3]]
  if any(m >= n for m, n in zip(more, x.shape[1:3], strict=True)):
    raise ValueError(
      f"images {x.shape} are too small to be mirrored to a multiple of "
      f"{multiple}"
    )
  pad = ((0, 0), (0, more[0]), (0, more[1]), (0, 0))
  return jnp.pad(x, pad, mode="reflect") if any(more) else x
