"""The bilateral filter: means of near pixels of a like value.

Tomasi and Manduchi 1998. Equal to OpenCV's `bilateralFilter` of float images
of one channel, which looks at a disc and mirrors the border:

    y(p) = sum_q w(p, q) x(q) / sum_q w(p, q)       |p - q| <= d // 2
    w    = exp(-|p - q|^2 / 2 s_space^2 - (x(p) - x(q))^2 / 2 s_value^2)
"""

import jax
import jax.numpy as jnp
import numpy as np


def filtered(
  x: jax.Array, diameter: int, sigma_value: float, sigma_space: float
) -> jax.Array:
  """Smooths without blurring edges.

  Args:
    x: [b, h, w, c]; every channel is filtered on its own.
    diameter: of the disc, odd [pixels].
    sigma_value: s_value, in the units of x.
    sigma_space: s_space [pixels].

  Returns:
    [b, h, w, c] float32.

  Raises:
    ValueError: a diameter that is even or below 3, or an image not larger
      than its radius.
  """
  r = diameter // 2
  if r < 1 or diameter % 2 == 0 or min(x.shape[1:3]) <= r:
    raise ValueError(
      f"diameter {diameter} of images {x.shape}: odd, from 3, and half of it "
      "below their sides"
    )
  x = x.astype(jnp.float32)
  h, w = x.shape[1:3]
  around = jnp.pad(x, ((0, 0), (r, r), (r, r), (0, 0)), mode="reflect")
  total = weight = 0.0
  for i, j in _disc(r):
    near = around[:, r + i : r + i + h, r + j : r + j + w]
    exponent = (i * i + j * j) / sigma_space**2
    exponent = exponent + ((near - x) / sigma_value) ** 2
    alike = jnp.exp(-0.5 * exponent)
    total, weight = total + alike * near, weight + alike
  return total / weight


def _disc(radius: int) -> list[tuple[int, int]]:
  """(row, column) of the pixels no further away than that."""
  side = np.arange(-radius, radius + 1)
  return [
    (int(i), int(j)) for i in side for j in side if i * i + j * j <= radius**2
  ]
