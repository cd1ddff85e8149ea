"""Classes of pixels as they are predicted: IoU of each, and their mean.

    IoU_c = sum TP / sum (TP + FP + FN)     over all pixels of all examples
    miou  = mean of IoU_c over classes that occur

in percent; pixels of the label 255 do not count. The output has the entries
`guess` and `truth`, [b, h, w] of whole numbers; `truth="thing"` reads the mask
of the one thing in `image` from the pixels (pictures as of `scenes/one`), of
pictures that a model made, too. A sheet shows both beside `image`.
"""

import dataclasses

import numpy as np

from jmim.core import field
from jmim.evals.lib import base
from jmim.evals.lib import context as contexts
from jmim.evals.lib import draw
from jmim.evals.lib import marked
from jmim.metrics import dense
from jmim.runlog import readings


@dataclasses.dataclass(frozen=True, kw_only=True)
class Evaluator(base.Evaluator):
  """mIoU and IoU of each class of predicted maps."""

  reads = ((r"miou|iou_.+|pixel_accuracy", readings.PERCENT),)

  predict: str = field.value("segment", "dict of maps, and image")
  guess: str = field.value("guess", "entry of the output that is judged")
  truth: str = field.value(
    "truth", "entry that is right; 'thing': what pixels of `image` show"
  )
  limit: int = field.value(0, "examples; 0: all", low=0)
  examples: int = field.value(8, "examples drawn", low=1)

  def run(self, context: contexts.Context) -> base.Results:
    """Yields miou, iou_<class>, pixel_accuracy, examples and a sheet."""
    counts, seen, first = np.zeros((0, 0), np.int64), 0, None
    for out, _ in context.outputs(
      self.predict, "eval", self.limit or None, self.weights
    ):
      guess = marked.labels(context, out, self.guess, "guess")
      truth = marked.labels(context, out, self.truth, "truth")
      counts = _added(counts, _counts(truth, guess))
      seen += len(truth)
      if first is None:
        first = {"truth": truth, "guess": guess}
        first |= {"image": out["image"]} if "image" in out else {}
    yield "miou", dense.mean_iou(counts)
    union = counts.sum(0) + counts.sum(1) - np.diag(counts)
    for c in np.flatnonzero(union).tolist():
      yield f"iou_{c}", 100.0 * float(counts[c, c] / union[c])
    yield "pixel_accuracy", dense.pixel_accuracy(counts)
    yield "examples", seen
    yield "sheet", self._sheet(context, first)

  def _sheet(self, context, first):
    n, columns = self.examples, {}
    if "image" in first:
      columns["image"] = context.pixels(first["image"][:n])
    for name in ("truth", "guess"):
      columns[name] = draw.classes(first[name][:n])
    return draw.sheet(columns)


def _counts(truth: np.ndarray, guess: np.ndarray) -> np.ndarray:
  """Confusion of as many classes as occur."""
  known = truth[truth != dense.IGNORE]
  most = max(known.max(initial=0), guess.max(initial=0))
  return dense.confusion(truth, guess.astype(np.int64), 1 + int(most))


def _added(a: np.ndarray, b: np.ndarray) -> np.ndarray:
  """Sum of two confusions, of the classes of both."""
  n = max(len(a), len(b))
  wide = lambda x: np.pad(x, ((0, n - len(x)),) * 2)
  return wide(a) + wide(b)
