"""Rays through a field of planes and lines: colour, depth and distortion.

    density = relu sum of the density's channels over the three kinds
    colour  = net(the colours' channels of the three kinds, direction)
    rgb     = sum w colour        black where nothing is
    depth   = sum w m             m the middle of an interval

w as in `nn/volume.py`. Jang and Agapito 2024 (NViST). float32.
"""

import dataclasses

import einops
import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import method
from jmim.core import runtime
from jmim.nn import norm
from jmim.nn import plane_field
from jmim.nn import volume
from jmim.nn.nets import nvist

Array = jax.Array
Arrays = dict[str, Array]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Radiance:
  """Where rays are sampled, and how a field's values become colours."""

  near: float = field.value(0.1, "distance where rays begin", low=0.0)
  far: float = field.value(2.5, "distance where rays end", above=0.0)
  samples: int = field.value(48, "intervals of a ray", low=1)
  low: tuple = field.value((-0.8,) * 3, "least corner of the box (x, y, z)")
  high: tuple = field.value((0.8,) * 3, "greatest corner of the box")
  width: int = field.value(64, "hidden width of the colours' network", low=1)
  frequencies: int = field.value(4, "waves of the direction", low=0)
  distortion: float = field.value(0.001, "weight of the distortion", low=0.0)
  chunk: int = field.value(
    0,
    "rays of a scene rendered at once, and again in the backward pass; 0: all",
    low=0,
  )
  rt: runtime.Runtime = field.runtime()

  @property
  def net(self) -> nvist.Colours:
    """Of colours."""
    return nvist.Colours(
      width=self.width, frequencies=self.frequencies, rt=self.rt
    )

  def check(self) -> None:
    """Raises ValueError for rays or a box without an extent."""
    if self.near >= self.far:
      raise ValueError(
        f"radiance.near={self.near} is not below radiance.far={self.far}"
      )
    sides = (len(self.low), len(self.high))
    if sides != (3, 3) or any(
      a >= b for a, b in zip(self.low, self.high, strict=True)
    ):
      raise ValueError(
        f"radiance.low={self.low} is not below radiance.high={self.high}, "
        "three numbers each"
      )

  def init(self, key: Array, colours: int) -> method.Tree:
    """Parameters, of a field with so many channels of colours."""
    features = jnp.zeros((1, 1, 1, 3 * colours))
    return self.net.init(key, features, jnp.ones((1, 1, 3)))["params"]

  def render(
    self,
    params: method.Tree,
    grids: Arrays,
    rays: tuple[Array, Array],
    *,
    density: int,
    jitter: Array | None = None,
  ) -> Arrays:
    """rgb [b, r, 3], depth, distortion [b, r] and weight [b, r, S].

    Args:
      params: of `net`.
      grids: planes [b, 3, R, R, c] and lines [b, 3, R, 1, c].
      rays: origins and directions [b, r, 3], of any length.
      density: channels of the density, the first.
      jitter: see `volume.boundaries`.
    """
    bounds = volume.boundaries(self.near, self.far, self.samples, jitter)

    def one(rays):
      return self._rendered(params, grids, rays, bounds, density=density)

    n = rays[0].shape[1]
    if not self.chunk or n <= self.chunk:
      return one(rays)
    fill = -n % self.chunk
    parts = [
      einops.rearrange(
        # Directions of what fills up have a length.
        jnp.pad(x, ((0, 0), (0, fill), (0, 0)), constant_values=1.0),
        "b (k r) c -> k b r c",
        r=self.chunk,
      )
      for x in rays
    ]
    made = jax.lax.map(jax.checkpoint(one), tuple(parts))
    together = lambda x: einops.rearrange(x, "k b r ... -> b (k r) ...")[:, :n]
    return jax.tree.map(together, made)

  def loss(self, out: Arrays, target: Array) -> method.Loss:
    """Squared error of rendered colours, and the distortion; aux: both.

    Args:
      out: of `render`.
      target: [b, r, 3] in 0 .. 1.
    """
    mse = ((out["rgb"] - target) ** 2).mean()
    distortion = out["distortion"].mean()
    aux = {"mse": mse, "distortion": distortion}
    return mse + self.distortion * distortion, aux

  def _rendered(self, params, grids, rays, bounds, density):
    """Rays at once."""
    origins, directions = rays
    directions = norm.unit(directions)
    m = volume.middles(bounds)
    points = origins[:, :, None] + directions[:, :, None] * m[:, None]
    points = plane_field.within(points, self.low, self.high)
    found = plane_field.values(grids["planes"], grids["lines"], points)
    dense = jax.nn.relu(found[..., :density].sum((1, -1)))
    w, _ = volume.weights(dense, bounds)
    features = einops.rearrange(
      found[..., density:], "b k r s c -> b r s (k c)"
    )
    colours = self.net.apply({"params": params}, features, directions)
    return {
      "rgb": (w[..., None] * colours).sum(-2),
      "depth": (w * m).sum(-1),
      "distortion": volume.distortion(w, bounds),
      "weight": w,
    }
