"""Histograms of oriented gradients, and the picture that is drawn of them.

Dalal and Triggs 2005. Equal to scikit-image's `hog(visualize=True)` with its
channel axis: the picture shows the histograms of the cells as they are, blocks
and their norms are not in it.

Letters: b batch, h w pixels, g cells along an axis, p side of a cell, n bins.
"""

import functools

import einops
import jax
import jax.numpy as jnp
import numpy as np

BINS = 9


def gradients(images: jax.Array) -> tuple[jax.Array, jax.Array]:
  """Central differences of the channel that changes most; 0 at the border.

  Args:
    images: [b, h, w, c].

  Returns:
    along rows and along columns, [b, h, w] float32.
  """
  x = images.astype(jnp.float32)
  rows = jnp.pad(x[:, 2:] - x[:, :-2], ((0, 0), (1, 1), (0, 0), (0, 0)))
  cols = jnp.pad(x[:, :, 2:] - x[:, :, :-2], ((0, 0), (0, 0), (1, 1), (0, 0)))
  most = jnp.argmax(jnp.hypot(rows, cols), axis=-1, keepdims=True)
  one = lambda d: jnp.take_along_axis(d, most, axis=-1)[..., 0]
  return one(rows), one(cols)


def histograms(images: jax.Array, cell: int, bins: int = BINS) -> jax.Array:
  """[b, h, w, c] -> [b, h // p, w // p, n] float32, lengths by direction.

  A bin is the sum of the lengths of the gradients whose direction, modulo half
  a turn, lies in its n-th part, divided by the number of pixels of the cell.

  Args:
    images: of any range.
    cell: side p of a cell [pixels]; what is left of an image is not looked at.
    bins: n, parts of half a turn.
  """
  rows, cols = gradients(images)
  degrees = jnp.rad2deg(jnp.arctan2(rows, cols)) % 180
  edges = 180 / bins * np.arange(bins + 1)
  at = degrees[..., None]
  inside = (at >= edges[:-1]) & (at < edges[1:])
  lengths = jnp.where(inside, jnp.hypot(rows, cols)[..., None], 0.0)
  h, w = (side // cell * cell for side in images.shape[1:3])
  return einops.reduce(
    lengths[:, :h, :w],
    "b (g p) (k q) n -> b g k n",
    "mean",
    p=cell,
    q=cell,
  )


@functools.cache
def strokes(cell: int, bins: int = BINS) -> np.ndarray:
  """[n, p, p] float32: a line through the centre, across each direction.

  Args:
    cell: side p of a cell [pixels].
    bins: n, parts of half a turn.
  """
  centre, radius = cell // 2, max(cell // 2 - 1, 0)
  drawn = np.zeros((bins, cell, cell), np.float32)
  for i, turn in enumerate(np.pi * (np.arange(bins) + 0.5) / bins):
    tall, wide = radius * np.cos(turn), radius * np.sin(turn)
    first = int(centre - tall), int(centre + wide)
    last = int(centre + tall), int(centre - wide)
    drawn[i][_line(first, last)] = 1.0
  return drawn


def _line(
  first: tuple[int, int], last: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
  """Rows and columns of the pixels of a straight line, its ends among them."""
  ends = np.array([first, last])
  step = ends[1] - ends[0]
  along = int(np.argmax(np.abs(step)))  # one pixel each of the longer axis
  if abs(step[0]) == abs(step[1]):
    along = 1
  most = max(abs(step[along]), 1)
  i = np.arange(abs(step[along]) + 1)
  # Half a pixel aside is rounded away from where the line begins.
  aside = np.floor(i * abs(step[1 - along]) / most + 0.5).astype(int)
  place = {along: i, 1 - along: aside}
  row, column = (ends[0, k] + np.sign(step[k]) * place[k] for k in (0, 1))
  return row, column


def picture(images: jax.Array, cell: int, bins: int = BINS) -> jax.Array:
  """[b, h, w, c] -> [b, h, w, 1] float32 in 0 .. 1, the strokes of all cells.

  Each is as bright as its bin, and each picture is scaled so that it begins at
  0 and ends at 1; that of an image without gradients is 0. Right and below of
  the last whole cell it is black.

  Args:
    images: of any range.
    cell: side p of a cell [pixels].
    bins: n, parts of half a turn.
  """
  made = drawn(images, cell, bins)
  low = made.min((1, 2, 3), keepdims=True)
  high = made.max((1, 2, 3), keepdims=True)
  return (made - low) / jnp.where(high > low, high - low, 1.0)


def drawn(images: jax.Array, cell: int, bins: int = BINS) -> jax.Array:
  """[b, h, w, 1] float32: as `picture`, before it is scaled."""
  counted = histograms(images, cell, bins)
  made = jnp.einsum(
    "bgkn,npq->bgpkq", counted, strokes(cell, bins), precision="highest"
  )
  made = einops.rearrange(made, "b g p k q -> b (g p) (k q) 1")
  h, w = images.shape[1:3]
  rest = ((0, h - made.shape[1]), (0, w - made.shape[2]))
  return jnp.pad(made, ((0, 0), *rest, (0, 0)))
