"""Point clouds as evaluators take them, and pictures of them.

A picture is three views side by side, seen along each axis, in one scale; the
planes are those of I2P-MAE: (x, y), (z, x) and (y, z), the third coordinate
towards the eye.
"""

import numpy as np

from jmim.core.settings import data as settings
from jmim.data import clouds
from jmim.evals.lib import predict

# The plane's axes, across then up, and the one towards the eye.
VIEWS = ((0, 1, 2), (2, 0, 1), (1, 2, 0))
# Five colours of matplotlib's viridis: what --mode=sample draws with is loaded
# at every start, and matplotlib is slow to load.
_RAMP = np.array(
  [(68, 1, 84), (59, 82, 139), (33, 145, 140), (94, 201, 98), (253, 231, 37)]
)


def stored(spec: settings.Data, points: np.ndarray) -> np.ndarray:
  """Clouds [n, p, 3] of a method, in the units of the data set.

  Raises:
    UserError: some are NaN or infinite.
  """
  finite = np.isfinite(points).all((1, 2))
  predict.require_finite(finite, "clouds to be shown or measured")
  return np.asarray(clouds.denormalised(spec, points))


def views(
  points: np.ndarray,
  values: np.ndarray | None = None,
  side: int = 96,
  dot: int = 3,
) -> np.ndarray:
  """uint8 [n, side, 3 side, 3] pictures of clouds.

  Args:
    points: [n, p, 3]; each cloud fills its picture, whatever its scale.
    values: [n, p] in 0 .. 1, the colour of each point; None: its distance
      from the eye, yellow near and violet far.
    side: of a view, in pixels.
    dot: side of a point, in pixels.

  Raises:
    ValueError: not [n, p, 3], or points that are not finite.
  """
  points = np.asarray(points, np.float64)
  if points.ndim != 3 or points.shape[-1] != 3:
    raise ValueError(f"clouds of shape {points.shape}: [n, p, 3] are drawn")
  if not np.isfinite(points).all():
    raise ValueError("clouds with NaN or infinite points cannot be drawn")
  low, high = points.min(1, keepdims=True), points.max(1, keepdims=True)
  reach = np.maximum((high - low).max(-1, keepdims=True) / 2, 1e-12)
  scaled = (points - (low + high) / 2) / reach  # -1 .. 1
  how = {"side": side, "dot": dot}
  drawn = []
  for i, cloud in enumerate(scaled):
    own = None if values is None else values[i]
    three = [_view(cloud, axes, own, **how) for axes in VIEWS]
    drawn.append(np.concatenate(three, axis=1))
  return np.stack(drawn)


def _view(cloud, axes, values, side, dot):
  """uint8 [side, side, 3]: near points hide far ones."""
  across, up, depth = (cloud[:, a] for a in axes)
  values = (depth + 1) / 2 if values is None else values
  share = np.linspace(0, 1, len(_RAMP))
  colours = np.stack([np.interp(values, share, c) for c in _RAMP.T], 1)
  order = np.argsort(depth, kind="stable")
  room = side - 1 - dot
  column = ((across + 1) / 2 * room).round().astype(int)[order]
  row = ((1 - up) / 2 * room).round().astype(int)[order]
  canvas = np.full((side, side, 3), 255, np.uint8)
  colours = colours.round().astype(np.uint8)[order]
  # One by one: a point must hide the whole of one behind it.
  for r, c, colour in zip(row, column, colours, strict=True):
    canvas[r : r + dot, c : c + dot] = colour
  canvas[:, -1] = 225  # between this view and the next
  return canvas
