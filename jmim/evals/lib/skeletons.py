"""Poses over the heatmaps they were made of.

A pose is in millimetres and its camera is not known: its x and y are shown by
the scale and the shift that lead the true pose nearest to the best cells of
heatmaps.
"""

import numpy as np
import PIL.Image
import PIL.ImageDraw

from jmim.data.procedural import bodies
from jmim.evals.lib import draw

# Of the 17 joints of Human3.6M, pelvis first: each and its parent.
BONES = tuple(enumerate(bodies.PARENTS[1:], start=1))
LEAST = 2  # joints that a pose is placed by
TRUTH, MADE = (255, 255, 255), (255, 90, 60)


def bones_of(joints: int) -> tuple[tuple[int, int], ...]:
  """Pairs of joints; () of another number of joints than Human3.6M's."""
  return BONES if joints == len(BONES) + 1 else ()


def placed(spread: np.ndarray) -> np.ndarray:
  """[n] bool: whether a pose can be placed.

  Args:
    spread: [n, j] of heatmaps, -1 of joints that have none.
  """
  return (spread >= 0).sum(1) >= LEAST


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
  if seen.sum() < LEAST:
    raise ValueError(
      f"{seen.sum()} joints to place a pose by: at least {LEAST}"
    )
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
) -> np.ndarray:
  """uint8 [n, side, side, 3]: hypotheses in red, the true pose in white.

  Bones, or dots where it is not known which joints they are between.

  Args:
    maps: [n, h, w], all heatmaps of an example in one.
    made: [n, k, j, 3] hypotheses.
    truth: [n, j, 3].
    places: [n, j, 2] best cells (x, y).
    seen: [n, j] bool, which of them the pose is placed by.
    side: of a picture in pixels.
  """
  pictures, bones = [], bones_of(truth.shape[1])
  wide = max(1, side // 128)
  for i, heat in enumerate(maps):
    grey = draw.heat(heat, 0.0, float(heat.max()))
    picture = PIL.Image.fromarray(grey).resize((side, side))
    pen, ratio = PIL.ImageDraw.Draw(picture), side / len(heat)
    scale, shift = fitted(truth[i], places[i], seen[i])
    for pose, colour in [(p, MADE) for p in made[i]] + [(truth[i], TRUTH)]:
      flat = (scale * pose[:, :2] * (1, -1) + shift + 0.5) * ratio
      for a, b in bones:
        pen.line([*flat[a], *flat[b]], fill=colour, width=wide)
      for x, y in () if bones else flat:
        pen.ellipse([x - wide, y - wide, x + wide, y + wide], fill=colour)
    pictures.append(np.asarray(picture))
  return np.stack(pictures)
