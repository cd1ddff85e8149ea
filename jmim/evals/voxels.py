"""A linear probe of single voxels: is this one of a membrane?

Features [d, h, w, c] of some voxels of every volume, standardised, and ridge
or logistic regression on what the data set stores of them (`membrane`, 1 or
0): average precision in percent. Beside it the same for untrained weights, for
the grey of the voxel alone (`grey_*`), and for a guess that sees nothing, the
share of positives (`blind_*`).
"""

import dataclasses

import numpy as np
import sklearn.preprocessing

from jmim.core import field
from jmim.data import volumes
from jmim.evals.lib import base
from jmim.evals.lib import context as contexts
from jmim.evals.lib import draw
from jmim.evals.lib import finite
from jmim.evals.lib import probes
from jmim.evals.lib import stored
from jmim.runlog import readings


@dataclasses.dataclass(frozen=True, kw_only=True)
class Chosen:
  """Voxels of some volumes.

  Attributes:
    features: [n, c].
    grey: [n, 1], their levels.
    marks: [n, 1], 0 or 1.
    slices: [m, h, w, c + 2] whole middle slices of the first volumes: grey,
      mark, features.
  """

  features: np.ndarray
  grey: np.ndarray
  marks: np.ndarray
  slices: np.ndarray


@dataclasses.dataclass(frozen=True, kw_only=True)
class Evaluator(base.Evaluator):
  """Average precision [percent] of a mark of voxels, and a picture."""

  reads = ((r".*_ap", readings.PERCENT),)

  predict: str = field.value("voxels", "features [b, d, h, w, c]")
  target: str = field.value("membrane", "mark of voxels: positive or 0")
  head: str = field.value("logistic", "probe", choices=("ridge", "logistic"))
  penalty: float = field.value(1.0, "weight of the L2 penalty", above=0)
  voxels: int = field.value(500, "voxels taken of a volume", low=1)
  train_limit: int = field.value(40, "training volumes; 0: all", low=0)
  limit: int = field.value(40, "test volumes; 0: all", low=0)
  reference: bool = field.value(True, "untrained weights too")
  examples: int = field.value(4, "volumes drawn", low=1)

  def run(self, context: contexts.Context) -> base.Results:
    """Yields <target>_ap with its reference lines, and the picture `sheet`."""
    lines = {"": self.weights}
    if self.reference:
      lines["untrained_"] = "untrained"
    key = f"{self.target}_ap"
    for prefix, weights in lines.items():
      train = self._chosen(context, "train", self.train_limit, weights)
      test = self._chosen(context, "eval", self.limit, weights)
      value, shown = self._score(train, test, "features")
      yield prefix + key, value
      if not prefix:
        yield "sheet", _sheet(test.slices, shown)
        yield f"grey_{key}", self._score(train, test, "grey")[0]
        yield f"blind_{key}", 100 * float(test.marks.mean())
    yield "examples", len(test.marks)

  def _chosen(
    self, context: contexts.Context, split: str, limit: int, weights: str
  ) -> Chosen:
    parts: list[np.ndarray] = []
    slices: list[np.ndarray] = []
    for out, batch in context.outputs(
      self.predict, split, limit or None, weights, entries=("index", "volume")
    ):
      finite.check(out)
      for features, index, volume in zip(
        out, batch["index"], batch["volume"], strict=True
      ):
        marks = stored.annotation(context, split, [index], self.target)[0]
        marks = volumes.middle(marks, volume.shape) > 0
        every = np.concatenate(
          [volume[..., None], marks[..., None], features], axis=-1
        )
        rng = np.random.default_rng([context.seed, int(index)])
        flat = every.reshape(-1, every.shape[-1])
        parts.append(
          flat[
            rng.choice(len(flat), min(self.voxels, len(flat)), replace=False)
          ]
        )
        if len(slices) < self.examples:
          slices.append(every[len(every) // 2])
    rows = np.concatenate(parts).astype(np.float64)
    return Chosen(
      grey=rows[:, :1],
      marks=rows[:, 1:2].astype(int),
      features=rows[:, 2:],
      slices=np.stack(slices),
    )

  def _score(
    self, train: Chosen, test: Chosen, name: str
  ) -> tuple[float, np.ndarray]:
    """(average precision, scores [m, h, w] of the slices)."""
    x, x_test = getattr(train, name), getattr(test, name)
    start = 2 if name == "features" else 0
    drawn = test.slices[..., start : start + x.shape[1]]
    scale = sklearn.preprocessing.StandardScaler().fit(x)
    target = probes.Target(
      name=self.target, kind="binary", train=train.marks, test=test.marks
    )
    every = np.concatenate([x_test, drawn.reshape(-1, x.shape[1])])
    linear = probes.fit(
      self.head, target, train=scale.transform(x), penalty=self.penalty
    )
    found = linear.scores(scale.transform(every))
    n = len(x_test)
    return target.measure(found[:n])["ap"], found[n:].reshape(drawn.shape[:-1])


def _sheet(slices: np.ndarray, found: np.ndarray) -> np.ndarray:
  """Grey, marks and scores of middle slices."""
  low, high = np.percentile(found, (2, 98))
  return draw.sheet(
    {
      "slice": slices[..., :1].astype(np.uint8),
      "truth": draw.classes(slices[..., 1]),
      "probe": draw.heat(found, low, high),
    }
  )
