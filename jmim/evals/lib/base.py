"""What an evaluator is: a documented dataclass with `run`.

`config.evals.<name> = section(type="knn", ...)` makes the class `Evaluator` of
`jmim.evals.knn`; its fields are the keys. An evaluator asks the context for
outputs by name and yields (key, value); it knows nothing of methods.
"""

import dataclasses
import importlib.util
import pkgutil
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any
from typing import ClassVar

import numpy as np

from jmim.core import errors
from jmim.core import field
from jmim.evals.lib import context as contexts
from jmim.runlog import readings

Features = tuple[np.ndarray, np.ndarray]  # [n, d], labels [n]


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Head:
  """A linear classifier that an evaluator has fitted: x @ kernel + bias.

  The run keeps it (heads/<evaluator>.npz), and `--mode=export --head` puts it
  on the encoder.

  Attributes:
    predict: output of the method that it reads.
    weights: "raw" or "ema", of the network below it.
    kernel: float [d, classes], of outputs as they are.
    bias: float [classes].
    names: of the columns, where they are not the classes of the labels.
    std: float [d], deviations of the outputs it was fitted on; (): not kept.
  """

  predict: str
  weights: str
  kernel: np.ndarray
  bias: np.ndarray
  names: tuple[str, ...] = ()
  std: np.ndarray | tuple[float, ...] = ()


# (key, scalar), (key, uint8 picture [h, w, 3]), (key, `Head`), or (key, entries
# that the protocol in the result line gets).
Results = Iterator[tuple[str, float | np.ndarray | Head | Mapping[str, Any]]]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Evaluator:
  """Base of all evaluators: when it runs and on which weights."""

  labelled: ClassVar[bool] = False  # whether it needs class labels
  # Whether it needs a method that is a diffusion model (`predict.diffused`).
  diffuses: ClassVar[bool] = False
  train_split: ClassVar[str] = ""  # see `Fitted`
  # How its numbers read, by their names: units, which of two is the better.
  reads: ClassVar[readings.Rules] = ()

  predict: str = field.value(
    "features", "output of the method; 'name/entry' for one of a dict"
  )
  weights: str = field.value("raw", "parameters used", choices=("raw", "ema"))
  every_steps: int = field.value(0, "steps between runs", low=0)
  every_epochs: float = field.value(0.0, "epochs between runs", low=0)
  every_images: int = field.value(
    0, "images between runs; it always runs at the end", low=0
  )

  def needs(self) -> tuple[str, ...]:
    """Names of the predict functions it will ask for."""
    return (self.predict.partition("/")[0],)

  def texts(self) -> str:
    """Name of a field whose texts `data.tokenizer` makes tokens of; '': none.

    Without one the config is refused.
    """
    return ""

  def check(
    self,
    path: str,
    sources: Mapping[str, Any],
    widths: Callable[[Sequence[str]], Mapping[str, int]],
  ) -> None:
    """Raises UserError for data or outputs that it cannot work on.

    Called before anything is compiled; by default all is well.

    Args:
      path: of its section in the config, for messages.
      sources: "train", which it fits on, and "eval".
      widths: names of outputs -> numbers per example, see `Context.widths`.
    """

  def run(self, context: contexts.Context) -> Results:
    """Yields numbers and pictures of the state that the context points at.

    A dict adds to the protocol in the result line what only the run of the
    evaluator can tell (the hash of weights, the name of a reference).
    """
    raise TypeError(f"{type(self).__name__} must define run()")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Fitted(Evaluator):
  """Fits something on labelled examples and tests it on others.

  The examples to fit on may be others than those that the run is trained on,
  which need no labels then.
  """

  labelled = True

  train_split: str = field.value(
    "", "split of the run's data set to fit on; '': data.train_split"
  )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Compared(Fitted):
  """Of labelled features, with the same of pixels and of an untrained network.

  Pixels only where the method reads images, not clips or several views.
  """

  train_limit: int = field.value(0, "training examples; 0: all", low=0)
  limit: int = field.value(0, "test examples; 0: all", low=0)
  reference: bool = field.value(True, "pixels and untrained weights too")

  def lines(
    self, context: contexts.Context
  ) -> Iterator[tuple[str, Features, Features]]:
    """Yields (prefix of the key, training features, test features)."""
    context = context.fitted_on(self.train_split)
    sources = {"": (self.predict, self.weights)}
    if self.reference:
      if "image" in context.method.inputs():
        sources["pixels_"] = ("pixels", "raw")
      sources["untrained_"] = (self.predict, "untrained")
    for prefix, (name, weights) in sources.items():
      train, test = (
        context.features(name, split, limit or None, weights)
        for split, limit in (("train", self.train_limit), ("eval", self.limit))
      )
      yield prefix, train, test


def width(widths: Mapping[str, int], name: str, key: str) -> int:
  """Numbers per example of an output that is to be a vector.

  Args:
    widths: of outputs and their entries, see `Context.widths`.
    name: of the output, or "name/entry".
    key: of the config, for messages.

  Raises:
    UserError: it has entries, or no such entry.
  """
  if name not in widths:
    raise errors.UserError(
      f"{key}={name!r}, which has entries",
      f"one of them: {', '.join(widths)}",
      "name one of these",
      key,
    )
  return widths[name]


def check_answers(k: Sequence[int], key: str) -> None:
  """Raises UserError unless there are numbers of answers, of at least 1."""
  if not k or min(k) < 1:
    raise errors.UserError(f"{key}={k}", "numbers of at least 1", "set it", key)


def names() -> list[str]:
  """All evaluator modules."""
  package = importlib.import_module("jmim.evals")
  return [m.name for m in pkgutil.iter_modules(package.__path__) if not m.ispkg]
