"""Samples seen by a classifier: are they what was asked for, and varied?

    recognised  percent of the samples that the judge names as their label
    spread      root of the mean squared distance of features to their class's
                mean; 0 where all samples of a class are alike
    frechet     |m - m'|^2 + tr(C + C' - 2 (C C')^(1/2)) of its features

`recognised_real` and `spread_real` are those of real images of the split that
is evaluated. The judge is the classifier of another run, or a linear one fitted
to the pixels of the training split. Labels are those of that split, in a random
order; of a method that reads none `recognised` is left out, but with
`labelled`, where samples are made of the examples and should keep their class.
Distances are biased by the number of samples: compare equal ones.
"""

import dataclasses

import numpy as np

from jmim.core import errors
from jmim.core import field
from jmim.evals.lib import base
from jmim.evals.lib import context as contexts
from jmim.evals.lib import judges
from jmim.runlog import readings


@dataclasses.dataclass(frozen=True, kw_only=True)
class Evaluator(base.Fitted):
  """Recognition, spread and Frechet distance of a method's samples."""

  reads = ((r"recognised.*", readings.PERCENT), ("frechet", readings.LESS))

  predict: str = field.value("sample", "images [b, h, w, c], as the inputs")
  classifier: str = field.value(
    "", "workdir of a run that offers features and logits; empty: linear"
  )
  penalty: float = field.value(
    10.0, "weight of the L2 penalty of the linear classifier", above=0
  )
  train_limit: int = field.value(
    0, "images that the linear one is fitted to; 0: all", low=0
  )
  limit: int = field.value(0, "real images compared with; 0: all", low=0)
  samples: int = field.value(1000, "images generated", low=2)
  labelled: bool = field.value(
    False, "samples show the class of their example, whatever is read of it"
  )

  def run(self, context: contexts.Context) -> base.Results:
    """Yields the scores, and who judged in the protocol."""
    context = context.fitted_on(self.train_split)
    judge = context.once(
      ("judge", self.classifier, self.penalty, self.train_limit),
      lambda: self._judge(context),
    )
    real = context.once(
      ("real", self.limit), lambda: self._images(context, "eval", self.limit)
    )
    made, asked = self._made(context)
    if not self.labelled and "label" not in context.method.inputs():
      asked = None
    yield from judges.scores(judge, made, asked, *real).items()
    yield "samples", len(made)
    yield "protocol", {"judge": judge.name}

  def _judge(self, context):
    key = "evals.<name>.classifier"
    if self.classifier:
      return judges.of_run(self.classifier, key)
    images, labels = self._images(context, "train", self.train_limit)
    return judges.linear(images, labels, self.penalty, key)

  def _images(self, context, split, limit):
    """(uint8 images, labels) of a split; those without a label are left out."""
    rows, labels = context.rows(
      "pixels", split, limit or None, self.weights, entry="label"
    )
    there = labels >= 0
    if there.sum() < 2:
      raise errors.UserError(
        f"{there.sum()} labelled image(s) in {split}",
        "at least 2",
        "use another split or limit",
        "data.name",
      )
    return np.round(255 * rows[there]).astype(np.uint8), labels[there]

  def _made(self, context):
    """(uint8 samples, labels asked for), passing over the split as needed."""
    images, labels, count, key = [], [], 0, 0
    # A limit, even of all, is a random order: files are often sorted by class.
    everything = len(context.sources["eval"])
    while count < self.samples:
      for out, entries in context.outputs(
        self.predict,
        "eval",
        everything,
        self.weights,
        entries=("label",),
        key=key,
      ):
        there = entries["label"] >= 0
        images.append(context.pixels(out)[there])
        labels.append(entries["label"][there])
        count, key = count + int(there.sum()), key + 1
        if count >= self.samples:
          break
    parts = (np.concatenate(x)[: self.samples] for x in (images, labels))
    return tuple(parts)
