"""The local implicit image function: colours at any place of a feature map.

Chen, Liu, Wang 2021, as Kim and Kim 2024 use it (zhenshij/arbitrary-scale-
diffusion@92399b2): no unfolding of features. Places are (row, column) in
-1 .. 1, the image's borders; pixel i of n has its centre at -1 + (2 i + 1) / n.

For each of four shifts v of (-1, -1), (-1, 1), (1, -1), (1, 1):

    p'     = clip(p + v (1/h, 1/w) + 1e-6)           within -1 + 1e-6, 1 - 1e-6
    f, q   = the feature of the cell of p', and that cell's centre
    rel    = (p - q) (h, w)
    pred   = MLP([f, rel, cell (h, w)])              cell: size of a pixel
    area   = |rel_0 rel_1| + 1e-9

and the colour is the mean of the four, each weighted by the area of the shift
diagonally opposite. (So at the centre of a cell that cell alone counts; but in
the last row and column, where two shifts end in one cell, all areas are 0 there
and the four count alike, as in the authors' code.)
"""

import dataclasses
from collections.abc import Callable
from collections.abc import Sequence

import einops
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from jmim.core import field
from jmim.core import runtime
from jmim.nn import conv
from jmim.nn import patch

SHIFTS = ((-1, -1), (-1, 1), (1, -1), (1, 1))
EPS = 1e-6


@dataclasses.dataclass(frozen=True, kw_only=True)
class Dims:
  """The implicit function's size and options, as a method's config has them."""

  hidden: tuple = field.value(
    (256, 256, 256, 256),
    "widths of the hidden layers; (): no such function, unless `linear`",
  )
  linear: bool = field.value(
    False, "without hidden layers it is a linear map, rather than missing"
  )
  cell: bool = field.value(True, "it is given the size of a pixel")
  ensemble: bool = field.value(True, "mean of four cells; else the nearest one")
  side: int = field.value(
    0,
    "side of decoded images [pixels]; 0: that of the images",
    low=0,
    asked=True,
  )
  chunk: int = field.value(
    65_536,
    "places of an image rendered at a time; for memory only",
    low=1,
    asked=True,
  )

  @property
  def present(self) -> bool:
    """Whether there is such a function."""
    return bool(self.hidden) or self.linear

  def net(self, channels: int, rt: runtime.Runtime) -> "Implicit":
    """The network, to so many channels."""
    return Implicit(
      hidden=self.hidden,
      out=channels,
      cell=self.cell,
      ensemble=self.ensemble,
      rt=rt,
    )


def line(n: int) -> np.ndarray:
  """[n] float32 centres of the pixels of an axis.

  In the authors' order of operations: where areas vanish, and, without an
  ensemble, on the border of two cells, rounding decides.
  """
  k = np.arange(n, dtype=np.float32)
  return np.float32(-1 + 1 / n) + np.float32(2 / n) * k


def places(sides: tuple[int, int]) -> np.ndarray:
  """[h * w, 2] float32 centres of the pixels of a grid, in raster order."""
  grid = np.stack(np.meshgrid(*map(line, sides), indexing="ij"), axis=-1)
  return grid.reshape(-1, 2)


def cells(sides: tuple[int, int]) -> np.ndarray:
  """[2] float32: height and width of a pixel of a grid."""
  return np.float32(2) / np.asarray(sides, np.float32)


def opposite_weights(rel: jax.Array) -> jax.Array:
  """Weights of the four predictions of a place: they sum to 1.

  Args:
    rel: [b, 4, q, 2] of the four shifts, in the order of SHIFTS.

  Returns:
    [b, 4, q].
  """
  area = jnp.abs(rel[..., 0] * rel[..., 1]) + 1e-9
  return area[:, ::-1] / area.sum(1, keepdims=True)


class Implicit(nn.Module, kw_only=True):
  """Features and places to colours.

  Attributes:
    hidden: widths of the hidden layers.
    out: channels of a colour.
    cell: the size of a pixel is among the inputs.
    ensemble: the mean of four cells; else the nearest one.
    rt: execution choices. The first layer is float32 always, also where
      accelerators would round its factors: places are not rounded.
  """

  hidden: Sequence[int]
  out: int = 3
  cell: bool = True
  ensemble: bool = True
  rt: runtime.Runtime = runtime.Runtime()

  @nn.compact
  def __call__(
    self, features: jax.Array, place: jax.Array, cell: jax.Array
  ) -> jax.Array:
    """Colours [b, q, out] float32.

    Args:
      features: [b, h, w, c].
      place: [b, q, 2] in -1 .. 1.
      cell: [b, q, 2], or what broadcasts to it.
    """
    sides = np.asarray(features.shape[1:3], np.float32)
    shifts, eps = (SHIFTS, EPS) if self.ensemble else (((0, 0),), 0.0)
    shifts = np.asarray(np.asarray(shifts) / sides + eps, np.float32)
    moved = place[:, None] + shifts[:, None]  # [b, 4, q, 2]
    moved = jnp.clip(moved, -1 + EPS, 1 - EPS)
    index = jnp.round(((moved + 1) * sides - 1) / 2).astype(jnp.int32)
    centre = [
      jnp.asarray(line(n))[index[..., axis]]
      for axis, n in enumerate(features.shape[1:3])
    ]
    rel = (place[:, None] - jnp.stack(centre, -1)) * sides
    take = jax.vmap(lambda f, i: f[i[..., 0], i[..., 1]])
    seen = [take(features.astype(jnp.float32), index), rel]
    if self.cell:
      scaled = jnp.broadcast_to(cell, place.shape) * sides
      seen.append(jnp.broadcast_to(scaled[:, None], rel.shape))
    colours = self._mlp(jnp.concatenate(seen, axis=-1))
    if not self.ensemble:
      return colours[:, 0]
    return jnp.einsum(
      "bkq,bkqc->bqc", opposite_weights(rel), colours, precision="highest"
    )

  def _mlp(self, x):
    """[..., c + 4] -> [..., out] float32."""
    dtypes = [jnp.float32] + [self.rt.dtype] * len(self.hidden)
    widths = [*self.hidden, self.out]
    for i, (width, dtype) in enumerate(zip(widths, dtypes, strict=True)):
      x = nn.relu(x) if i else x
      x = nn.Dense(
        width,
        dtype=dtype,
        precision=None if i else "highest",
        kernel_init=conv.TORCH,
        bias_init=patch.conv_bias_init(x.shape[-1]),
        name=f"fc{i}",
      )(x)
    return x.astype(jnp.float32)


Query = Callable[[jax.Array], jax.Array]


def in_chunks(query: Query, place: jax.Array, chunk: int) -> jax.Array:
  """[q, 2] places -> [b, q, c]: a query of many places, some at a time.

  The backward pass computes each part again, so that memory is that of one.

  Args:
    query: [n, 2] places, the same of every image, -> [b, n, c].
    place: all of them.
    chunk: most at a time.
  """
  q = len(place)
  if q <= chunk:
    return query(place)
  padded = jnp.pad(place, ((0, -q % chunk), (0, 0)), mode="edge")
  parts = padded.reshape(-1, chunk, 2)
  made = jax.lax.map(jax.checkpoint(query), parts)  # [k, b, n, c]
  return einops.rearrange(made, "k b n c -> b (k n) c")[:, :q]
