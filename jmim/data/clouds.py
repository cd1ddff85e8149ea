"""Clouds of points on the device: some drawn, normalised, turned, scaled.

    x <- n of the points                           a subset, at random
    x <- (x - mean_n x) / max_n |x|                points_unit, per cloud
    x <- (x - points_mean) / points_std            of the data set
    x <- turn about one axis, times s, plus t      s, t one per cloud and axis

Evaluation takes the first n points, and neither turns, scales nor shifts.
Numbers per point that a data set stores beside them stay as they are: they
belong to `points` only where all points are taken (`data.points=0`).
"""

from collections.abc import Iterator

import jax
import jax.numpy as jnp

from jmim.core import errors
from jmim.core import randomness
from jmim.core.settings import data as settings

_AXES = "xyz"


def augmented(
  spec: settings.Data, keys: randomness.Keys, points: jax.Array
) -> jax.Array:
  """Clouds of a training batch.

  Args:
    spec: the keys `data.points`, `data.points_*`.
    keys: of all draws.
    points: [b, n, 3] as stored.

  Returns:
    [b, spec.points, 3] float32; all points where that is 0.

  Raises:
    UserError: they are no points in space, or fewer than are asked for.
  """
  _check(spec, points)
  x, (b, n) = points.astype(jnp.float32), points.shape[:2]
  if spec.points:
    order = jax.random.uniform(keys("drawn points"), (b, n)).argsort(axis=1)
    chosen = order[:, : spec.points, None]
    x = jnp.take_along_axis(x, chosen, axis=1)
  x = normalised(spec, x)
  if spec.points_turn != "none":
    angle = jax.random.uniform(keys("turn"), (b,), maxval=2 * jnp.pi)
    x = turned(x, angle, _AXES.index(spec.points_turn))
  low, high = spec.points_scale
  if (low, high) != (1.0, 1.0):
    x *= jax.random.uniform(keys("scale"), (b, 1, 3), minval=low, maxval=high)
  if most := spec.points_shift:
    x += jax.random.uniform(keys("shift"), (b, 1, 3), minval=-most, maxval=most)
  return x


def prepared(spec: settings.Data, points: jax.Array) -> jax.Array:
  """[..., n, 3] -> the first `spec.points` of them, normalised, float32."""
  _check(spec, points)
  first = points[..., : spec.points or None, :]
  return normalised(spec, first.astype(jnp.float32))


def _check(spec: settings.Data, points: jax.Array) -> None:
  n, axes = points.shape[-2:]
  if axes != 3:
    raise errors.UserError(
      f"'points' with {axes} numbers each",
      "3 numbers: x, y, z",
      "store what else is known of a point under another name",
      "data.name",
    )
  if spec.points > n:
    raise errors.UserError(
      f"data.points={spec.points}, and clouds of {n} points",
      "at most as many as are stored",
      f"set data.points, and what the method reads, to {n} or less",
      "data.points",
    )


def normalised(spec: settings.Data, points: jax.Array) -> jax.Array:
  """[..., n, 3] by the cloud, if asked for, then by the data set."""
  if spec.points_unit:
    points = points - points.mean(-2, keepdims=True)
    far = jnp.linalg.norm(points, axis=-1, keepdims=True)
    points = points / jnp.maximum(far.max(-2, keepdims=True), 1e-12)
  return (points - jnp.asarray(spec.points_mean)) / jnp.asarray(spec.points_std)


def denormalised(spec: settings.Data, points: jax.Array) -> jax.Array:
  """[..., n, 3] in the units of the data set; of `points_unit`, of its ball."""
  return points * jnp.asarray(spec.points_std) + jnp.asarray(spec.points_mean)


def turned(points: jax.Array, angle: jax.Array, axis: int) -> jax.Array:
  """Clouds turned about an axis through the origin.

  Args:
    points: [b, n, 3].
    angle: [b] radians, from the next axis to the one after it.
    axis: 0, 1 or 2.
  """
  first, second = (axis + 1) % 3, (axis + 2) % 3
  cos, sin = jnp.cos(angle)[:, None], jnp.sin(angle)[:, None]
  a, b = points[..., first], points[..., second]
  moved = points.at[..., first].set(cos * a - sin * b)
  return moved.at[..., second].set(sin * a + cos * b)


def rules(spec: settings.Data) -> Iterator[tuple[str, bool, str]]:
  """(name of the key, whether its value is fine, what is expected)."""
  for name in ("points_mean", "points_std"):
    yield name, len(getattr(spec, name)) == 3, "three numbers, one per axis"
  yield "points_std", min(spec.points_std) > 0, "positive numbers"
  two = len(spec.points_scale) == 2
  yield (
    "points_scale",
    two and 0 < spec.points_scale[0] <= spec.points_scale[1],
    "two numbers: 0 < least <= greatest",
  )
