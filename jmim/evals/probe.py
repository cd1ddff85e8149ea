"""Linear probe on frozen features: ridge, logistic regression, or an SVM.

Features are standardised with the training mean and standard deviation, unless
`standardise` is off. Ridge: scikit-learn's RidgeClassifier, targets +-1, closed
form. Logistic: its LogisticRegression (L2, lbfgs). SVM: its SVC with a linear
kernel, hinge, a vote of all pairs of classes, as released for clouds (C = 1 /
penalty = 0.01, features as they are); its time grows with the square of the
examples. Reference lines: the same probe on raw pixels
and on the untrained network. (MAE's own linear probing, with BatchNorm, LARS
and 90 epochs of augmented images, is a training recipe; this one takes
seconds.)
"""

import dataclasses

import numpy as np
import sklearn.linear_model
import sklearn.pipeline
import sklearn.preprocessing
import sklearn.svm

from jmim.core import field
from jmim.evals.lib import base
from jmim.evals.lib import context as contexts
from jmim.evals.lib import finite
from jmim.runlog import readings

HEADS = ("ridge", "logistic", "svm")


def fit(
  head: str,
  features: np.ndarray,
  labels: np.ndarray,
  penalty: float,
  standardise: bool = True,
) -> sklearn.pipeline.Pipeline:
  """Standardisation and a linear classifier.

  Args:
    head: one of HEADS.
    features: [n, d].
    labels: [n].
    penalty: weight of |w|^2 against the sum of losses over examples (sklearn's
      alpha; 1 / C of logistic regression and SVM).
    standardise: features to mean 0 and deviation 1.

  Raises:
    NotComputed: a feature is not finite.
  """
  finite.check(features)
  model = {
    "ridge": lambda: sklearn.linear_model.RidgeClassifier(alpha=penalty),
    "logistic": lambda: sklearn.linear_model.LogisticRegression(
      C=1.0 / penalty, max_iter=500
    ),
    "svm": lambda: sklearn.svm.SVC(C=1.0 / penalty, kernel="linear"),
  }[head]()
  scale = sklearn.preprocessing.StandardScaler(
    with_mean=standardise, with_std=standardise
  )
  return sklearn.pipeline.make_pipeline(scale, model).fit(
    features.astype(np.float64), labels
  )


def plain(
  model: sklearn.pipeline.Pipeline,
) -> tuple[np.ndarray, np.ndarray] | None:
  """float32 (kernel [d, classes], bias [classes]) of what `fit` made.

  Of features as they are. A class that no example had scores -1e4, and of two
  classes either has half of the decision. None: an SVM of more than two
  classes, whose vote no linear map gives.
  """
  scale, head = model[0], model[-1]
  if isinstance(head, sklearn.svm.SVC) and len(head.classes_) > 2:
    return None
  w, b = np.atleast_2d(head.coef_).T, np.atleast_1d(head.intercept_)
  if scale.with_std:
    w = w / scale.scale_[:, None]
  if scale.with_mean:
    b = b - scale.mean_ @ w
  if w.shape[1] == 1:
    w, b = np.concatenate([-w, w], axis=1) / 2, np.append(-b, b) / 2
  kernel = np.zeros((len(w), 1 + int(head.classes_.max())))
  bias = np.full(kernel.shape[1], -1e4)
  kernel[:, head.classes_], bias[head.classes_] = w, b
  return kernel.astype(np.float32), bias.astype(np.float32)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Evaluator(base.Compared):
  """Probe accuracy in percent, with pixels and untrained beside it."""

  reads = (("accuracy", readings.PERCENT),)

  head: str = field.value("ridge", "classifier", choices=HEADS)
  penalty: float = field.value(1.0, "weight of the L2 penalty", above=0)
  standardise: bool = field.value(
    True, "features to mean 0 and deviation 1 before it"
  )

  def run(self, context: contexts.Context) -> base.Results:
    """Yields accuracy (percent), its head if one is linear, references."""
    for prefix, train, test in self.lines(context):
      model = fit(self.head, *train, self.penalty, self.standardise)
      if not prefix and (linear := plain(model)):
        kernel, bias = linear
        yield (
          "head",
          base.Head(
            predict=self.predict, weights=self.weights, kernel=kernel, bias=bias
          ),
        )
      yield f"{prefix}accuracy", 100.0 * float(model.score(*test))
