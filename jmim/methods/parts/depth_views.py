"""A cloud seen from three sides, as images that a vision transformer reads."""

import dataclasses
from typing import NamedTuple

import einops
import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.nn import project


class Guide(NamedTuple):
  """Maps of the views of clouds, and where their pixels are.

  Attributes:
    frame: see `project.Frame`.
    saliency: [b, 3, h, w], how much each place tells of the thing.
    features: [b, 3, h, w, c].
  """

  frame: project.Frame
  saliency: jax.Array
  features: jax.Array

  def saliency_at(self, points: jax.Array) -> jax.Array:
    """[b, m] of points [b, m, 3], the mean over the views; no gradient."""
    return self._read(self.saliency[..., None], points)[..., 0].mean(1)

  def features_at(self, points: jax.Array) -> jax.Array:
    """[b, ..., 3 c] of points [b, ..., 3], view after view; no gradient."""
    b, *many, _ = points.shape
    read = self._read(self.features, points.reshape(b, -1, 3))
    read = einops.rearrange(read, "b v m c -> b m (v c)")
    return read.reshape(b, *many, -1)

  def _read(self, maps: jax.Array, points: jax.Array) -> jax.Array:
    read = project.read(self.frame, maps, project.views(points))
    return jax.lax.stop_gradient(read)


@dataclasses.dataclass(frozen=True, kw_only=True)
class DepthViews:
  """Images of depth in three views, and how they are normalised."""

  size: int = field.value(224, "side of the depth images, even [pixels]", low=8)
  mean: tuple = field.value(
    (0.485, 0.456, 0.406), "mean of their normalisation, ImageNet's as released"
  )
  std: tuple = field.value(
    (0.229, 0.224, 0.225), "std of their normalisation, ImageNet's as released"
  )

  def images(self, points: jax.Array) -> jax.Array:
    """[b, n, 3] -> [b, 3, size, size, 3] normalised, without gradient."""
    seen = project.depth(jax.lax.stop_gradient(points), self.size)
    return project.images(seen, self.mean, self.std)

  def frame(self, points: jax.Array) -> project.Frame:
    """Where the pixels of `images` are."""
    return project.frame(project.views(points), self.size)

  def picture(self, points: jax.Array) -> jax.Array:
    """[b, size, 3 size, 3] the views side by side, as `images`."""
    views = self.images(points)
    return einops.rearrange(views, "b v h w c -> b h (v w) c")

  def guide(
    self, points: jax.Array, saliency: jax.Array, features: jax.Array
  ) -> Guide:
    """What patches of a network tell of the points.

    Args:
      points: [b, n, 3].
      saliency: [(b 3), (h w)] of square grids, cloud by cloud.
      features: [(b 3), (h w), c].
    """
    side = int(saliency.shape[1] ** 0.5)
    axes = dict(v=3, h=side)
    split = "(b v) (h w) ... -> b v h w ..."
    as_map = lambda x: einops.rearrange(
      jnp.asarray(x, jnp.float32), split, **axes
    )
    return Guide(self.frame(points), as_map(saliency), as_map(features))

  def check(self, key: str = "views") -> None:
    """Raises ValueError for an odd side, and statistics of other channels."""
    if self.size % 2:
      raise ValueError(
        f"{key}.size {self.size}: an even number, what is painted around the "
        "middle of an odd side reaches over its edge"
      )
    for name in ("mean", "std"):
      if len(getattr(self, name)) != 3:
        raise ValueError(f"{key}.{name} {getattr(self, name)}: three numbers")
