"""Poses over the heatmaps they were made of.

A pose is in millimetres and its camera is not known: its x and y are shown by
the scale and the shift that lead the true pose nearest to the best cells of
heatmaps.
"""

from collections.abc import Sequence

import numpy as np
import PIL.Image
import PIL.ImageDraw

from jmim.evals.lib import draw

# Of the 17 joints of Human3.6M, pelvis first: each and its parent.
BONES = tuple(
  enumerate((0, 1, 2, 0, 4, 5, 0, 7, 8, 9, 8, 11, 12, 8, 14, 15), start=1)
)
TRUTH, MADE = (255, 255, 255), (255, 90, 60)


def fitted(
  truth: np.ndarray, places: np.ndarray, seen: np.ndarray
) -> tuple[float, np.ndarray]:
  """(scale, shift [2]) from x and -y of a true pose to pixels, least squares.

  Args:
    truth: [j, 3].
    places: [j, 2] (x, y) in pixels, y downward.
    seen: [j] bool, which joints count; two at least.

  Raises:
    ValueError: fewer.
  """
  if seen.sum() < 2:
    raise ValueError(f"{seen.sum()} joints to place a pose by: at least 2")
  flat, goal = truth[seen, :2] * (1, -1), places[seen]
  away = flat - flat.mean(0)
  scale = (away * (goal - goal.mean(0))).sum() / max((away**2).sum(), 1e-9)
  return float(scale), goal.mean(0) - scale * flat.mean(0)


def over(
  maps: np.ndarray,
  made: np.ndarray,
  truth: np.ndarray,
  *,
  places: np.ndarray,
  seen: np.ndarray,
  side: int = 256,
  bones: Sequence[tuple[int, int]] = BONES,
) -> np.ndarray:
  """uint8 [n, side, side, 3]: hypotheses in red, the true pose in white.

  Args:
    maps: [n, h, w], all heatmaps of an example in one.
    made: [n, k, j, 3] hypotheses.
    truth: [n, j, 3].
    places: [n, j, 2] best cells (x, y).
    seen: [n, j] bool, which of them the pose is placed by.
    side: of a picture in pixels.
    bones: pairs of joints.
  """
  pictures = []
  for i, heat in enumerate(maps):
    grey = draw.heat(heat, 0.0, max(float(heat.max()), 1e-6))
    picture = PIL.Image.fromarray(grey).resize((side, side))
    pen, ratio = PIL.ImageDraw.Draw(picture), side / len(heat)
    scale, shift = fitted(truth[i], places[i], seen[i])
    for pose, colour in [(p, MADE) for p in made[i]] + [(truth[i], TRUTH)]:
      flat = (scale * pose[:, :2] * (1, -1) + shift + 0.5) * ratio
      for a, b in bones:
        pen.line([*flat[a], *flat[b]], fill=colour, width=max(1, side // 128))
    pictures.append(np.asarray(picture))
  return np.stack(pictures)
