"""Few-shot ridge probe of UMD and big_vision, in closed form.

    z = [(f - mean) / (std + 1e-5), 100]      of the s examples per class
    W = argmin |Z W - Y|^2 + l |W|^2          Y = +1 for the class, else -1
    accuracy of argmax z(test) W

philippe-eecs/small-vision@3d4555b (google-research/big_vision): l = 2^10. The
headline number of UMD is 100-shot. Candidates are a fixed random part of the
training set (theirs: its first 100,000 images); a class with fewer than s
examples among them gives all it has. Solved in float64.
"""

import dataclasses

import numpy as np

from jmim.core import field
from jmim.evals.lib import base
from jmim.evals.lib import context as contexts
from jmim.metrics import accuracy
from jmim.metrics import ridge
from jmim.runlog import readings

CONSTANT = 100.0  # the column that makes up for a bias under the penalty


def choose(labels: np.ndarray, shots: int, seed: int) -> np.ndarray:
  """Indices of `shots` random examples of each class; fewer shots nest."""
  order = np.random.default_rng(seed).permutation(len(labels))
  picked = [order[labels[order] == c][:shots] for c in np.unique(labels)]
  return np.concatenate(picked)


def scores(
  train: np.ndarray,
  labels: np.ndarray,
  test: np.ndarray,
  classes: int,
  penalty: float,
) -> np.ndarray:
  """[m, classes] float64 scores of the rows of `test`.

  Args:
    train: [n, d] features of the few shots.
    labels: [n].
    test: [m, d].
    classes: number of classes.
    penalty: l.
  """
  mean, std = train.mean(0, np.float64), train.std(0, dtype=np.float64) + 1e-5
  whiten = lambda x: np.pad(
    (x - mean) / std, ((0, 0), (0, 1)), constant_values=CONSTANT
  )
  targets = np.where(labels[:, None] == np.arange(classes), 1.0, -1.0)
  return whiten(test) @ ridge.solve(whiten(train), targets, penalty)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Evaluator(base.Fitted):
  """Few-shot accuracy in percent: mean and standard deviation over seeds."""

  reads = ((r"\d+shot", readings.PERCENT),)

  shots: tuple[int, ...] = field.value((1, 5, 10, 100), "examples per class")
  seeds: int = field.value(3, "repeats with other examples", low=1)
  penalty: float = field.value(1024.0, "l of the ridge", above=0)
  train_limit: int = field.value(100_000, "candidates; 0: all", low=0)
  limit: int = field.value(0, "test examples; 0: all", low=0)

  def run(self, context: contexts.Context) -> base.Results:
    """Yields <s>shot and, with several seeds, <s>shot_std."""
    context = context.fitted_on(self.train_split)
    train, labels = context.features(
      self.predict, "train", self.train_limit or None, self.weights
    )
    test, truth = context.features(
      self.predict, "eval", self.limit or None, self.weights
    )
    classes = int(max(labels.max(), truth.max())) + 1
    for shots in self.shots:
      percent = []
      for seed in range(self.seeds):
        few = choose(labels, shots, seed)
        score = scores(
          train[few],
          labels[few],
          test=test,
          classes=classes,
          penalty=self.penalty,
        )
        percent.append(accuracy.topk(score, truth, 1))
      yield f"{shots}shot", float(np.mean(percent))
      if self.seeds > 1:
        yield f"{shots}shot_std", float(np.std(percent, ddof=1))
    yield "examples", len(truth)
