"""Large volumes in windows that overlap, averaged where they do."""

import dataclasses
import itertools
from collections.abc import Callable
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from jmim.core import field
from jmim.methods.parts import tiles

Shape = tuple[int, int, int]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Windows:
  """How far windows of the size that a network reads are apart."""

  asked: ClassVar[bool] = True  # a run may be evaluated in other windows

  overlap: float = field.value(
    0.25, "share of a window that the next one has too", low=0.0, below=1.0
  )

  def corners(self, volume: Shape, window: Shape) -> np.ndarray:
    """int [n, 3], first voxels of all windows; the last ends with the volume.

    Args:
      volume: [d, h, w].
      window: [d, h, w].

    Raises:
      ValueError: a window that is larger than the volume.
    """
    if any(v < w for v, w in zip(volume, window, strict=True)):
      raise ValueError(
        f"a volume of {volume} in windows of {window}: set data.eval_volume to "
        "at least method.shape"
      )
    stride = [max(1, int(side * (1 - self.overlap))) for side in window]
    axes = map(tiles.starts, volume, window, stride)
    return np.array(list(itertools.product(*axes)))

  def apply(
    self,
    network: Callable[[jax.Array], jax.Array],
    volumes: jax.Array,
    window: Shape,
  ) -> jax.Array:
    """[b, d, h, w, c] float32, the mean of all windows that see a voxel.

    Args:
      network: [b, *window] -> [b, *window, c].
      volumes: [b, d, h, w].
      window: [d, h, w].
    """
    sides = volumes.shape[1:]
    if sides == tuple(window):
      return network(volumes).astype(jnp.float32)
    b, corners = len(volumes), self.corners(sides, window)

    def one(corner):
      at = (0, *corner)
      return network(jax.lax.dynamic_slice(volumes, at, (b, *window)))

    def add(total, corner):
      made = one(corner).astype(total.dtype)
      at = (0, *corner, 0)
      seen = jax.lax.dynamic_slice(total, at, made.shape)
      return jax.lax.dynamic_update_slice(total, seen + made, at), None

    channels = jax.eval_shape(one, corners[0]).shape[-1]
    zeros = jnp.zeros((b, *sides, channels))
    total, _ = jax.lax.scan(add, zeros, jnp.asarray(corners))
    counts = np.zeros(sides, np.float32)
    for corner in corners:
      place = (slice(c, c + n) for c, n in zip(corner, window, strict=True))
      counts[tuple(place)] += 1
    return total / counts[..., None]
