"""Agreement of maps: classes per pixel, depth, and tracked regions.

IoU_c  = TP_c / (TP_c + FP_c + FN_c)       mIoU: mean over classes
RMSE   = sqrt(mean (d - d*)^2)
FB-IoU = (IoU of the things + IoU of all else) / 2
J      = IoU of a region;  F = 2 P R / (P + R) of its boundary (DAVIS)
"""

import cv2
import numpy as np

IGNORE = 255  # label of pixels that do not count


def confusion(truth: np.ndarray, guess: np.ndarray, classes: int) -> np.ndarray:
  """int64 [classes, classes], row: truth, column: guess; IGNORE left out.

  Args:
    truth: class per pixel, any shape.
    guess: the same shape, values below `classes`.
    classes: number of classes.
  """
  keep = truth != IGNORE
  pairs = classes * truth[keep].astype(np.int64) + guess[keep]
  return np.bincount(pairs, minlength=classes**2).reshape(classes, classes)


def mean_iou(counts: np.ndarray) -> float:
  """Percent, over the classes that are in truth or guess."""
  union = counts.sum(0) + counts.sum(1) - np.diag(counts)
  there = union > 0
  return 100.0 * float((np.diag(counts)[there] / union[there]).mean())


def pixel_accuracy(counts: np.ndarray) -> float:
  """Percent of pixels."""
  return 100.0 * float(np.trace(counts) / counts.sum())


def region(truth: np.ndarray, guess: np.ndarray) -> float:
  """J: intersection over union of two bool masks; 1 if both are empty."""
  union = (truth | guess).sum()
  return float((truth & guess).sum() / union) if union else 1.0


def outline(mask: np.ndarray) -> np.ndarray:
  """bool: pixels that differ from the next one right, below, or both."""
  padded = np.pad(mask, ((0, 1), (0, 1)), mode="edge")
  edge = mask ^ padded[:-1, 1:]
  edge |= mask ^ padded[1:, :-1]
  return edge | (mask ^ padded[1:, 1:])


def boundary(
  truth: np.ndarray, guess: np.ndarray, tolerance: float = 0.008
) -> float:
  """F: agreement of outlines within a tolerance (DAVIS 2017).

  Args:
    truth: bool [h, w].
    guess: bool [h, w].
    tolerance: of positions, as a share of the diagonal; rounded up.
  """
  reach = int(np.ceil(tolerance * np.hypot(*truth.shape)))
  y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
  disk = (y**2 + x**2 <= reach**2).astype(np.uint8)
  a, b = outline(truth), outline(guess)
  near = [cv2.dilate(m.astype(np.uint8), disk) > 0 for m in (a, b)]
  if not a.any() or not b.any():
    return float(a.any() == b.any())
  precision = (b & near[0]).sum() / b.sum()
  recall = (a & near[1]).sum() / a.sum()
  total = precision + recall
  return float(2 * precision * recall / total) if total else 0.0


def by_class(
  truth: np.ndarray, guess: np.ndarray, classes: np.ndarray
) -> dict[str, float | dict[int, float]]:
  """Few-shot segmentation: masks of one class each, of several classes.

  Intersections and unions are summed over the examples before they are
  divided: `miou`, the mean over classes; `fb_iou`, the mean of foreground and
  background over all examples; `each`, class -> IoU. Percent; of a class that
  nobody sees nothing counts.

  Args:
    truth: bool [n, h, w].
    guess: bool [n, h, w].
    classes: int [n], that of each mask.
  """
  both = (truth & guess).sum((1, 2))
  either = (truth | guess).sum((1, 2))
  each = {}
  for c in np.unique(classes).tolist():
    own = classes == c
    if either[own].sum():
      each[c] = 100.0 * float(both[own].sum() / either[own].sum())
  outside = (~truth & ~guess).sum() / max(1, (~truth | ~guess).sum())
  inside = both.sum() / max(1, either.sum())
  mean = float(np.mean([*each.values()])) if each else 0.0
  return {
    "miou": mean,
    "fb_iou": 50.0 * float(inside + outside),
    "each": each,
  }
