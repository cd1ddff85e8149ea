"""How fast the one thing of a clip moves (`shapes/directions`)."""

import numpy as np


def pace(clips: np.ndarray, angle: np.ndarray) -> np.ndarray:
  """[n] sides per frame, along the way that it goes.

  Where two frames differ is about the middle of the thing between them: of
  the squared differences of the first two frames and of the last two, the
  distance of the means of place. The ground must be still. It is a little too
  little, as something is hidden at the edges, and alike for all clips.

  Args:
    clips: [n, t, h, w, c] with t >= 3, in any units.
    angle: [n] of the way, in radians, from right to down.
  """
  x = np.asarray(clips, np.float64)
  changed = (np.diff(x, axis=1)[:, [0, -1]] ** 2).sum(-1)
  changed /= changed.sum((2, 3), keepdims=True) + 1e-12
  h, w = x.shape[2:4]
  y = (changed * np.arange(h)[:, None] / h).sum((2, 3))
  x = (changed * np.arange(w) / w).sum((2, 3))
  way = lambda found: found[:, 1] - found[:, 0]
  along = np.sin(angle) * way(y) + np.cos(angle) * way(x)
  return along / (clips.shape[1] - 2)
