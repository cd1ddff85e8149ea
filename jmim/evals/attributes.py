"""Linear probes of several attributes on parts of a vector.

    z = (f - mean f) / std f                     of the examples fitted on
    W = argmin |z_P W + mean Y - Y|^2 + a |W|^2  for each part P of the vector

    classes   Y = +1 for the class, else -1      accuracy of argmax, percent
    binary    Y = +1 or -1                       average precision, percent
    real      Y = (y - mean y) / std y           Pearson r, squared error

Ridge in closed form, float64; or, of classes and binary ones, logistic
regression (scikit-learn). All means and deviations are those of the training
examples, so 1 is the squared error of the training mean. `blind_<key>` is what
a probe scores that sees nothing; `untrained_<key>` that of the network before
its first step.

Attributes are read as the data set stores them: one number per example, or
several under one name (a vector, or names within a name as CelebA has them),
whose scores are averaged; "attributes/Male" is one of those. Probes of the
whole vector are kept in the run, heads/<evaluator>.npz: `tools.draw_swaps` can
move images along them.

What PDAE and DiTi (Yue et al. 2024) report for codes; their probes are trained
by Adam for 15 epochs, these are solved.
"""

import dataclasses
import functools
import re
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import numpy as np
import sklearn.preprocessing

from jmim.core import errors
from jmim.core import field
from jmim.evals.lib import base
from jmim.evals.lib import context as contexts
from jmim.evals.lib import finite
from jmim.evals.lib import probes
from jmim.evals.lib import stored
from jmim.runlog import readings


@dataclasses.dataclass(frozen=True, kw_only=True)
class Evaluator(base.Fitted):
  """Scores of every attribute, from every part of the vector."""

  reads = (
    (r".*_(accuracy|ap)(_\d+to\d+)?", readings.PERCENT),
    (r".*_mse(_\d+to\d+)?", readings.LESS),
    (r".*_r(_\d+to\d+)?", readings.MORE),
  )

  labelled = False  # attributes may be stored without a class

  classes: tuple[str, ...] = field.value((), "attributes with classes, 0, 1 ..")
  binary: tuple[str, ...] = field.value((), "attributes that are 0 or 1")
  real: tuple[str, ...] = field.value((), "attributes that are real numbers")
  parts: tuple[str, ...] = field.value(
    (":",), "slices of the vector, each probed alone: ':8' is the first eight"
  )
  head: str = field.value(
    "ridge", "probe of all but real ones", choices=("ridge", "logistic")
  )
  penalty: float = field.value(1.0, "weight of the L2 penalty", above=0)
  train_limit: int = field.value(0, "training examples; 0: all", low=0)
  limit: int = field.value(0, "test examples; 0: all", low=0)
  reference: bool = field.value(True, "untrained weights too")

  def check(
    self,
    path: str,
    sources: Mapping[str, Any],
    widths: Callable[[Sequence[str]], Mapping[str, int]],
  ) -> None:
    """Raises UserError for no attribute, one that is not there, or a part."""
    if not (self.classes or self.binary or self.real):
      raise errors.UserError(
        f"{path} without an attribute",
        "names of what the data set stores: "
        + ", ".join(stored.names(sources["train"][0])),
        f"set {path}.classes, {path}.binary or {path}.real",
        f"{path}.classes",
      )
    for source in sources.values():
      for kind in probes.KINDS:
        for name in getattr(self, kind):
          stored.vector(source[0], name, f"{path}.{kind}")
    width = base.width(widths(self.needs()), self.predict, f"{path}.predict")
    self.slices(width, f"{path}.parts")

  def slices(self, width: int, key: str) -> dict[str, slice]:
    """Suffix of the keys -> part, for every part.

    Raises:
      UserError: a part is no slice, empty, or not within the vector.
    """
    found = {}
    for part in self.parts:
      match = re.fullmatch(r"(\d*):(\d*)", part)
      first, last = match.groups() if match else ("", "0")
      start, stop = int(first or 0), int(last or width)
      if not start < stop <= width:
        raise errors.UserError(
          f"{key} has the part {part!r}",
          f"'a:b' with 0 <= a < b <= {width}, the numbers in {self.predict}",
          "correct the part, or ask for another output",
          key,
        )
      whole = stop - start == width
      found["" if whole else f"_{start}to{stop}"] = slice(start, stop)
    return found

  def run(self, context: contexts.Context) -> base.Results:
    """Yields <name>_<score> with the part, and the reference lines."""
    context = context.fitted_on(self.train_split)
    lines = {"": self.weights}
    if self.reference:
      lines["untrained_"] = "untrained"
    targets: list[probes.Target] = []
    for prefix, weights in lines.items():
      (x, i), (x_test, i_test) = (
        self._rows(context, split, limit, weights)
        for split, limit in (("train", self.train_limit), ("eval", self.limit))
      )
      targets = targets or self._targets(context, i, i_test)
      yield from self._scores(prefix, targets, x, x_test)
    for target in targets:
      blind = np.tile(target.columns().mean(0), (len(target.test), 1))
      for key, value in target.measure(blind).items():
        yield f"blind_{_key(target)}_{key}", value
    real = {t.name: t.deviations for t in targets if t.kind == "real"}
    if real:
      yield "protocol", {"deviations": real}
    yield "examples", len(x_test)

  def _rows(
    self, context: contexts.Context, split: str, limit: int, weights: str
  ) -> tuple[np.ndarray, np.ndarray]:
    """(vectors [n, d], which examples [n])."""
    rows, index = context.rows(self.predict, split, limit or None, weights)
    finite.check(rows)
    return rows.reshape(len(rows), -1).astype(np.float64), index

  def _targets(
    self, context: contexts.Context, train: np.ndarray, test: np.ndarray
  ) -> list[probes.Target]:
    """All that is probed, read once from the data set."""
    asked = [(k, name) for k in probes.KINDS for name in getattr(self, k)]
    names = {name: f"evals.<name>.{kind}" for kind, name in asked}
    fitted = stored.numbers(context, "train", train, names)
    tested = stored.numbers(context, "eval", test, names)
    made = [
      probes.Target(name=name, kind=kind, train=fitted[name], test=tested[name])
      for kind, name in asked
    ]
    for target in made:
      target.check()
    return made

  def _scores(
    self,
    prefix: str,
    targets: Sequence[probes.Target],
    x: np.ndarray,
    x_test: np.ndarray,
  ) -> Iterator[tuple[str, float | base.Head]]:
    scale = sklearn.preprocessing.StandardScaler().fit(x)
    z, z_test = scale.transform(x), scale.transform(x_test)
    parts = self.slices(z.shape[1], "evals.<name>.parts")
    for suffix, part in parts.items():
      fit = functools.partial(
        probes.fit, self.head, train=z[:, part], penalty=self.penalty
      )
      made = [fit(target=target) for target in targets]
      if not prefix + suffix:
        yield "head", self._head(targets, made, scale)
      for target, linear in zip(targets, made, strict=True):
        scores = linear.scores(z_test[:, part])
        for key, value in target.measure(scores).items():
          yield f"{prefix}{_key(target)}_{key}{suffix}", value

  def _head(
    self,
    targets: Sequence[probes.Target],
    made: Sequence[probes.Linear],
    scale: sklearn.preprocessing.StandardScaler,
  ) -> base.Head:
    """All columns of the whole vector's probes, of the vector as it is."""
    plain = [linear.unscaled(scale.mean_, scale.scale_) for linear in made]
    return base.Head(
      predict=self.predict,
      weights=self.weights,
      kernel=np.concatenate([x.kernel for x in plain], 1).astype(np.float32),
      bias=np.concatenate([x.bias for x in plain]).astype(np.float32),
      names=tuple(name for target in targets for name in target.names()),
      std=scale.scale_.astype(np.float32),
    )


def _key(target: probes.Target) -> str:
  return target.name.replace("/", "_")
