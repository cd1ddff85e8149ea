"""Attributes of examples, and what linear probes of them score.

W = argmin |Z W + mean Y - Y|^2 + a |W|^2

classes   Y = +1 for the class, else -1      accuracy of argmax, percent
binary    Y = +1 or -1                       average precision, percent
real      Y = (y - mean y) / std y           Pearson r, squared error
"""

import dataclasses
from typing import NamedTuple

import numpy as np
import sklearn.linear_model
import sklearn.preprocessing

from jmim.core import errors
from jmim.metrics import accuracy
from jmim.metrics import attributes
from jmim.metrics import ridge

KINDS = ("classes", "binary", "real")


class Linear(NamedTuple):
  """Scores x @ kernel + bias.

  Attributes:
    kernel: float64 [d, c].
    bias: [c].
  """

  kernel: np.ndarray
  bias: np.ndarray

  def scores(self, x: np.ndarray) -> np.ndarray:
    """[m, c] of features [m, d]."""
    return x @ self.kernel + self.bias

  def unscaled(self, mean: np.ndarray, std: np.ndarray) -> "Linear":
    """The same of features as they are, where this is of (x - mean) / std."""
    kernel = self.kernel / std[:, None]
    return Linear(kernel, self.bias - mean @ kernel)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Target:
  """What is probed under one name.

  Attributes:
    name: of the data set.
    kind: one of KINDS.
    train: [n, k] values of k attributes.
    test: [m, k].
  """

  name: str
  kind: str
  train: np.ndarray
  test: np.ndarray

  def check(self) -> None:
    """Raises UserError for values that are not of their kind."""
    values = np.concatenate([self.train, self.test]).astype(np.float64)
    right = np.isfinite(values)
    if self.kind == "binary":
      right = np.isin(values, (0, 1))
    elif self.kind == "classes":
      right &= (values >= 0) & (values == np.floor(values))
    if not right.all():
      expected = {
        "classes": "whole numbers from 0 on",
        "binary": "0 and 1",
        "real": "finite numbers",
      }[self.kind]
      raise errors.UserError(
        f"{self.name!r} has the value {values[~right][0]:g}",
        expected,
        f"take it out of evals.<name>.{self.kind}, or correct the data set",
        f"evals.<name>.{self.kind}",
      )

  @property
  def classes(self) -> int:
    """Of an attribute; 1 for those that are no classes."""
    if self.kind != "classes":
      return 1
    return 1 + int(max(self.train.max(), self.test.max()))

  def columns(self) -> np.ndarray:
    """float64 [n, k * classes]: Y, what the scores are fitted to."""
    if self.kind == "real":
      return self._scale().transform(self.train.astype(np.float64))
    if self.kind == "binary":
      return 2.0 * self.train - 1
    hit = self.train[..., None] == np.arange(self.classes)
    return np.where(hit, 1.0, -1.0).reshape(len(hit), -1)

  def names(self) -> list[str]:
    """Of the columns: "tone", "kind=2", "both/1" or "both/1=2"."""
    k = self.train.shape[1]
    several = self.kind == "classes"
    return [
      self.name + (f"/{i}" if k > 1 else "") + (f"={c}" if several else "")
      for i in range(k)
      for c in range(self.classes)
    ]

  def measure(self, scores: np.ndarray) -> dict[str, float]:
    """Means over the attributes; NaN where no test example has any.

    Args:
      scores: [m, k * classes] in the order of `columns`.
    """
    if self.kind == "real":
      truth = self._scale().transform(self.test.astype(np.float64))
      pairs = list(zip(scores.T, truth.T, strict=True))
      each = {
        "r": [attributes.pearson(*pair) for pair in pairs],
        "mse": [attributes.squared_error(*pair) for pair in pairs],
      }
    elif self.kind == "binary":
      pairs = zip(scores.T, self.test.T == 1, strict=True)
      found = [attributes.average_precision(*pair) for pair in pairs]
      # Like classes in mean IoU: those that do not occur are left out.
      each = {"ap": [ap for ap in found if np.isfinite(ap)]}
    else:
      k = self.test.shape[1]
      split = np.split(scores, k, axis=1)
      truth = self.test.T
      pairs = zip(split, truth, strict=True)
      each = {"accuracy": [accuracy.topk(s, y, 1) for s, y in pairs]}
    nan = float("nan")
    return {n: float(np.mean(x)) if x else nan for n, x in each.items()}

  def _scale(self) -> sklearn.preprocessing.StandardScaler:
    values = self.train.astype(np.float64)
    return sklearn.preprocessing.StandardScaler().fit(values)

  @property
  def deviations(self) -> list[float]:
    """[k] what one unit of a squared error is the square of."""
    return self._scale().scale_.tolist()


def fit(
  head: str,
  target: Target,
  *,
  train: np.ndarray,
  penalty: float,
) -> Linear:
  """What gives the scores [m, k * classes] of examples.

  Args:
    head: "ridge", or "logistic" for what is not real.
    target: of the examples.
    train: float64 [n, d] standardised features.
    penalty: a, against the sum over examples.
  """
  if head == "logistic" and target.kind != "real":
    count = max(2, target.classes)
    parts = [
      logistic(train, y, penalty=penalty, classes=count)
      for y in target.train.T.astype(int)
    ]
    first = 1 if target.kind == "binary" else 0
    return Linear(
      np.concatenate([part.kernel[:, first:] for part in parts], axis=1),
      np.concatenate([part.bias[first:] for part in parts]),
    )
  columns = target.columns()
  mean = columns.mean(0)
  return Linear(ridge.solve(train, columns - mean, penalty), mean)


def logistic(
  train: np.ndarray,
  labels: np.ndarray,
  *,
  penalty: float,
  classes: int,
) -> Linear:
  """Logits [m, classes] of logistic regression; -inf for classes not seen.

  Args:
    train: [n, d].
    labels: int [n].
    penalty: weight of |w|^2 / 2 against the sum of losses.
    classes: columns of the result.
  """
  kernel, seen = np.zeros((train.shape[1], classes)), np.unique(labels)
  bias = np.full(classes, -np.inf)
  if len(seen) == 1:  # nothing to tell apart
    bias[seen] = 0
    return Linear(kernel, bias)
  model = sklearn.linear_model.LogisticRegression(C=1 / penalty, max_iter=500)
  model.fit(train, labels)
  w, b = model.coef_, model.intercept_
  two = len(b) == 1  # of two classes: the logit of the second
  kernel[:, seen] = (np.concatenate([-w, w]) if two else w).T
  bias[seen] = np.append(-b, b) if two else b
  return Linear(kernel, bias)
