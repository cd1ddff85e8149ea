"""Few-shot segmentation: masks of one class per example, by class.

    IoU_c  = sum TP / sum (TP + FP + FN)     over the examples of class c
    miou   = mean_c IoU_c
    fb_iou = (IoU of the foreground + IoU of the background) / 2, over all

As papers on COCO-20i and PASCAL-5i count, in percent. The output has `mask` and
`truth` (bool [b, h, w]) and `class` [b]; a sheet shows them beside `support`,
`support_mask` and `image`, if it has these. Folds are splits of the data, whose
classes nobody trained on.
"""

import dataclasses

import numpy as np

from jmim.core import field
from jmim.evals.lib import base
from jmim.evals.lib import context as contexts
from jmim.evals.lib import draw
from jmim.metrics import dense
from jmim.runlog import readings

SHOWN = ("support", "support_mask", "image", "truth", "mask")  # in this order


@dataclasses.dataclass(frozen=True, kw_only=True)
class Evaluator(base.Evaluator):
  """mIoU by class and FB-IoU of predicted masks."""

  reads = ((r"(.+_)?iou(_.+)?|miou", readings.PERCENT),)

  predict: str = field.value("segment", "dict with mask, truth and class")
  limit: int = field.value(1000, "episodes; 0: all", low=0)
  examples: int = field.value(8, "episodes drawn", low=1)

  def run(self, context: contexts.Context) -> base.Results:
    """Yields miou, fb_iou, iou_<class>, and a sheet."""
    rows, limit = [], self.limit or None
    first = None
    for out, _ in context.outputs(self.predict, "eval", limit, self.weights):
      rows.append([out[name] for name in ("truth", "mask", "class")])
      first = out if first is None else first
    truth, mask, classes = map(np.concatenate, zip(*rows, strict=True))
    found = dense.by_class(truth > 0, mask > 0, classes)
    for c, value in found.pop("each").items():
      yield f"iou_{c}", value
    yield from found.items()
    yield "examples", len(truth)
    yield "sheet", self._sheet(context, first)

  def _sheet(self, context, out):
    columns = {}
    for name in filter(out.__contains__, SHOWN):
      x = out[name][: self.examples]
      masks = lambda x: np.repeat(255 * (x > 0)[..., None], 3, -1)
      shown = context.pixels(x) if x.ndim == 4 else masks(x)
      columns[name] = shown.astype(np.uint8)
    return draw.sheet(columns)
