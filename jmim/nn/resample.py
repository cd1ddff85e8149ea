"""Images of another size, as torch's `interpolate` makes them.

Half-pixel centres (`align_corners=False`), borders clamped.
"""

import jax
import jax.numpy as jnp
import numpy as np

from jmim.nn import posemb


def bilinear_matrix(n_in: int, n_out: int) -> np.ndarray:
  """[n_out, n_in] float64 weights of a bilinear resize of one axis.

  No antialiasing: a pixel is made of two, however much the axis shrinks.
  """
  centre = (np.arange(n_out) + 0.5) * (n_in / n_out) - 0.5
  centre = np.clip(centre, 0, n_in - 1)
  distance = np.abs(np.arange(n_in) - centre[:, None])
  return np.maximum(1 - distance, 0.0)


# "smooth" is bicubic with antialiasing.
MATRICES = {
  "bicubic": posemb.bicubic_matrix,
  "bilinear": bilinear_matrix,
  "smooth": posemb.smooth_matrix,
}


def images(
  x: jax.Array, sides: tuple[int, int], kind: str = "bicubic"
) -> jax.Array:
  """[b, h, w, c] -> [b, *sides, c]; of that size already: as they are.

  Args:
    x: images, of any range: bicubic weights are partly negative, and nothing
      is clipped.
    sides: (height, width) of the result [pixels].
    kind: one of MATRICES.
  """
  if x.shape[1:3] == tuple(sides):
    return x
  rows, columns = (
    MATRICES[kind](n_in, n_out).astype(np.float32)
    for n_in, n_out in zip(x.shape[1:3], sides, strict=True)
  )
  y = jnp.einsum("yh,xw,bhwc->byxc", rows, columns, x)
  return y.astype(x.dtype)
