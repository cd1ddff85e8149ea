"""Reconstruction pictures: original, masked, reconstruction.

The original is the image, or the `target` that a method gives of it. The
reconstruction shows the prediction where a pixel was hidden and the original
elsewhere. Its error over hidden pixels stands beside two fillings
that need no network, on the same masks:

    mse      = mean over hidden pixels of (prediction - original)^2, in [0, 1]
    l1       = the same of the absolute difference
    nearest  : each hidden pixel from the nearest visible one
    colour   : the mean colour of the visible pixels of the image
"""

import dataclasses

import cv2
import numpy as np

from jmim.core import field
from jmim.evals.lib import base
from jmim.evals.lib import context as contexts
from jmim.evals.lib import draw
from jmim.runlog import readings

GREY = 120


def nearest_visible(image: np.ndarray, hidden: np.ndarray) -> np.ndarray:
  """Fills hidden pixels [h, w] with the nearest visible pixel of [h, w, c]."""
  _, index = cv2.distanceTransformWithLabels(
    hidden.astype(np.uint8),
    cv2.DIST_L2,
    5,
    labelType=cv2.DIST_LABEL_PIXEL,
  )
  seen = np.zeros(index.max() + 1, np.int64)
  visible = np.flatnonzero(~hidden)
  seen[index.ravel()[visible]] = visible
  flat = image.reshape(-1, image.shape[-1])
  return flat[seen[index.ravel()]].reshape(image.shape)


def mean_visible(image: np.ndarray, hidden: np.ndarray) -> np.ndarray:
  """Fills hidden pixels with the mean colour of the visible ones."""
  filled = image.copy()
  filled[hidden] = image[~hidden].mean(0)
  return filled


def hidden_error(
  a: np.ndarray, b: np.ndarray, hidden: np.ndarray
) -> tuple[float, float]:
  """Mean (squared, absolute) difference over hidden pixels; in [0, 1]."""
  error = (a - b)[hidden]
  return float((error**2).mean()), float(np.abs(error).mean())


@dataclasses.dataclass(frozen=True, kw_only=True)
class Evaluator(base.Evaluator):
  """A sheet of reconstructions, and their error beside simple fillings."""

  reads = ((r"mse|l1", readings.LESS),)

  predict: str = field.value("reconstruct", "image, mask, perhaps target")
  examples: int = field.value(16, "images drawn", low=1)
  batches: int = field.value(1, "batches the errors are averaged over", low=1)

  def run(self, context: contexts.Context) -> base.Results:
    """Yields mse and l1, *_nearest and *_colour, and the picture `sheet`."""
    errors, first = [], None
    limit = self.batches * context.spec.batch
    for out, batch in context.outputs(
      self.predict, "eval", limit, self.weights, entries=("image",)
    ):
      pred, hidden = context.pixels(out["image"]), out["mask"][..., 0] > 0.5
      truth = batch["image"]
      if "target" in out:
        truth = context.pixels(out["target"])
      triples = (truth, pred, hidden)
      errors += [_errors(*x) for x in zip(*triples, strict=True) if x[2].any()]
      first = first or triples
    means = np.mean(errors, axis=0)
    for filling, pair in zip(("", "_nearest", "_colour"), means, strict=True):
      yield f"mse{filling}", float(pair[0])
      yield f"l1{filling}", float(pair[1])
    yield "sheet", self._sheet(*(x[: self.examples] for x in first))

  def _sheet(
    self, truth: np.ndarray, pred: np.ndarray, hidden: np.ndarray
  ) -> np.ndarray:
    where = hidden[..., None]
    return draw.sheet(
      {
        "original": truth,
        "masked": np.where(where, np.uint8(GREY), truth),
        "reconstruction": np.where(where, pred, truth),
      }
    )


def _errors(
  truth: np.ndarray, pred: np.ndarray, hidden: np.ndarray
) -> tuple[tuple[float, float], ...]:
  """(squared, absolute) of the prediction and of the two fillings."""
  a = truth.astype(np.float32) / 255
  return (
    hidden_error(pred.astype(np.float32) / 255, a, hidden),
    hidden_error(nearest_visible(a, hidden), a, hidden),
    hidden_error(mean_visible(a, hidden), a, hidden),
  )
