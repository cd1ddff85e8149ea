"""JPEG: blocks of 8 x 8 in cosines, rounded as a quality asks for.

Colours as JFIF's YCbCr in whole levels, tables and their scale as libjpeg's.
Where the colour is halved, a square of four pixels has the mean of their
colour, and is filled with it (files are mostly read with colours interpolated
between squares). What the entropy coder does loses nothing, and is left out.
"""

import jax
import jax.numpy as jnp
import numpy as np

from jmim.nn import resize

# Annex K of the standard: brightness, colour.
_LUMA = np.array(
  [
    [16, 11, 10, 16, 24, 40, 51, 61],
    [12, 12, 14, 19, 26, 58, 60, 55],
    [14, 13, 16, 24, 40, 57, 69, 56],
    [14, 17, 22, 29, 51, 87, 80, 62],
    [18, 22, 37, 56, 68, 109, 103, 77],
    [24, 35, 55, 64, 81, 104, 113, 92],
    [49, 64, 78, 87, 103, 121, 120, 101],
    [72, 92, 95, 98, 112, 100, 103, 99],
  ]
)
_CHROMA = np.full((8, 8), 99)
_CHROMA[:4, :4] = [
  [17, 18, 24, 47],
  [18, 21, 26, 66],
  [24, 26, 56, 99],
  [47, 66, 99, 99],
]
# RGB -> Y, Cb, Cr around 0.
_TO_YCC = np.array(
  [
    [0.299, 0.587, 0.114],
    [-0.168736, -0.331264, 0.5],
    [0.5, -0.418688, -0.081312],
  ]
)


def _cosines() -> np.ndarray:
  """[8, 8] orthonormal DCT-II: row u holds the cosine of frequency u."""
  u, x = np.arange(8)[:, None], np.arange(8)
  basis = np.cos((2 * x + 1) * u * np.pi / 16) / 2
  basis[0] /= np.sqrt(2)
  return basis.astype(np.float32)


def tables(quality: jax.Array) -> jax.Array:
  """[b, 2, 8, 8] steps of brightness and colour at qualities [b], 1 .. 100.

  libjpeg's: scaled by 5000 / q or 200 - 2 q percent, rounded, 1 .. 255.
  """
  q = jnp.clip(jnp.round(quality), 1, 100)
  # Whole numbers throughout, as libjpeg divides them.
  percent = jnp.where(q < 50, jnp.floor(5000 / q), 200 - 2 * q)
  base = np.stack([_LUMA, _CHROMA])
  steps = jnp.floor((base * percent[:, None, None, None] + 50) / 100)
  return jnp.clip(steps, 1, 255)


def _coded(plane: jax.Array, steps: jax.Array) -> jax.Array:
  """A plane [b, h, w] in 0 .. 255, h and w multiples of 8, read back."""
  b, h, w = plane.shape
  blocks = jnp.round(plane).reshape(b, h // 8, 8, w // 8, 8) - 128
  turn = _cosines()
  # Steps are wide as against float32, but not as against bf16.
  waves = jnp.einsum(
    "ui,vj,bhiwj->bhuwv", turn, turn, blocks, precision="highest"
  )
  step = steps[:, None, :, None, :]
  waves = jnp.round(waves / step) * step
  made = jnp.einsum(
    "ui,vj,bhuwv->bhiwj", turn, turn, waves, precision="highest"
  )
  return jnp.clip(jnp.round(made.reshape(b, h, w) + 128), 0, 255)


def apply(
  image: jax.Array, quality: jax.Array, halved: bool = True
) -> jax.Array:
  """Images written as JPEG and read back, in 0 .. 1.

  Args:
    image: [b, h, w, 3 or 1] in 0 .. 1, of any size.
    quality: [b] 1 .. 100.
    halved: colour at half the resolution (4:2:0); of grey images: nothing.
  """
  h, w, c = image.shape[1:]
  steps, multiple = tables(quality), 16 if halved and c == 3 else 8
  more = [(0, -n % multiple) for n in (h, w)]
  x = jnp.pad(image, ((0, 0), *more, (0, 0)), mode="edge")
  x = jnp.round(jnp.clip(x, 0, 1) * 255)
  if c == 1:
    return _coded(x[..., 0], steps[:, 0])[:, :h, :w, None] / 255
  ycc = jnp.einsum("kc,bhwc->kbhw", _TO_YCC, x, precision="highest")
  y = _coded(ycc[0], steps[:, 0])
  colours = [_colour(plane, steps[:, 1], halved) for plane in ycc[1:]]
  back = np.linalg.inv(_TO_YCC).astype(np.float32)
  planes = jnp.stack([y, *colours], -1)
  made = jnp.einsum("ck,bhwk->bhwc", back, planes, precision="highest")
  return jnp.round(jnp.clip(made, 0, 255))[:, :h, :w] / 255


def _colour(plane: jax.Array, steps: jax.Array, halved: bool) -> jax.Array:
  """A plane of colour around 0, read back at half the resolution or at all."""
  plane = jnp.round(plane + 128)
  if not halved:
    return _coded(plane, steps) - 128
  half = tuple(n // 2 for n in plane.shape[1:])
  small = resize.images(plane[..., None], half, "area")[..., 0]
  return _coded(small, steps).repeat(2, 1).repeat(2, 2) - 128
