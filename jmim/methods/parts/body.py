"""Joints of a body as one vector, and as points around its pelvis.

vector   (x1..xJ, y1..yJ, z1..zJ) in metres, without the pelvis
points   [J + 1, 3] in millimetres; the pelvis, midpoint of the hips, is
joint 0 and the origin
"""

import dataclasses

import einops
import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import method

AXES, MILLIMETRES = 3, 1000.0
NO_MAP = -1.0  # of a joint without a heatmap


@dataclasses.dataclass(frozen=True, kw_only=True)
class Body:
  """Its joints, and the heatmaps that show them."""

  joints: int = field.value(16, "joints of a pose, without the pelvis", low=1)
  hips: tuple = field.value((0, 3), "joints whose midpoint is the pelvis")
  order: tuple = field.value(
    (), "heatmap of each joint of a pose, -1: none; (): they are in one order"
  )

  @property
  def width(self) -> int:
    """Numbers of a vector."""
    return AXES * self.joints

  def inputs(self) -> dict[str, method.Input]:
    """poses [3 joints]."""
    return {"poses": method.Input((self.width,))}

  def check(self, key: str, maps: int) -> None:
    """Raises ValueError for fields that do not go together.

    Args:
      key: of this part in the method, with a dot, for messages.
      maps: heatmaps of an example.
    """
    last, order = self.joints - 1, self.order
    if not self.hips or min(self.hips) < 0 or max(self.hips) > last:
      raise ValueError(f"{key}hips {self.hips}: joints are 0 to {last}")
    if not order and self.joints != maps:
      raise ValueError(
        f"{key}joints {self.joints} and heatmaps.joints {maps} differ: say in "
        f"{key}order which heatmap is of which joint"
      )
    if order and len(order) != self.joints:
      raise ValueError(
        f"{key}order has {len(order)} entries: {key}joints {self.joints}, one "
        "for each"
      )
    if order and not -1 <= min(order) <= max(order) < maps:
      raise ValueError(
        f"{key}order {order}: heatmaps are 0 to {maps - 1}, and -1 is none"
      )

  def points(self, poses: jax.Array) -> jax.Array:
    """Vectors [..., 3 joints] -> points [..., joints + 1, 3]."""
    joints = einops.rearrange(poses, "... (d j) -> ... j d", d=AXES)
    pelvis = joints[..., list(self.hips), :].mean(-2, keepdims=True)
    whole = jnp.concatenate([jnp.zeros_like(pelvis), joints - pelvis], -2)
    return MILLIMETRES * whole

  def of_joints(self, values: jax.Array) -> jax.Array:
    """Of maps [b, maps, ...] -> of points [b, joints + 1, ...], or NO_MAP."""
    order = jnp.asarray((-1, *(self.order or range(self.joints))))
    none = (order < 0).reshape(-1, *(1,) * (values.ndim - 2))
    return jnp.where(none, NO_MAP, values[:, order])
