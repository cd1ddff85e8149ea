"""The contract of what trains nothing: to invert, edit, protect or measure.

A procedure is one file with one frozen dataclass, like a method. It reads
frozen models, which it knows by what they can do, never by their name:

    draws  = draw(keys, models, example)     all randomness of ONE example
    rows   = collect(models, batch, draws)   what a fit reads   } where it fits
    fitted = fit(stream of rows)             on the host, once  }
    arrays = apply(models, fitted, batch, draws)

What is made of an example is a function of (seed, its number), and of nothing
else: `drawn` draws for each example by itself.
"""

import dataclasses
from collections.abc import Iterator
from collections.abc import Mapping
from typing import Any
from typing import ClassVar

import jax
import numpy as np

from jmim.core import errors
from jmim.core import field
from jmim.core import method as methods
from jmim.core import randomness
from jmim.core import runtime

Batch = methods.Batch
Draws = methods.Draws
Input = methods.Input
Arrays = dict[str, Any]
Units = tuple[tuple[float, ...], tuple[float, ...]] | None  # mean, std
Rows = Iterator[dict[str, np.ndarray]]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Needs:
  """A frozen model that a procedure reads: a part of its section."""

  path: str = field.value("", "trained model: a run, or an export of one")
  recipe: str = field.value(
    "",
    "recipe, with its arguments, of the model where there is none yet, for "
    "--mode=dry_run",
  )
  weights: str = field.value(
    "auto",
    "weights that are read; auto: their EMA where the run has one",
    choices=("auto", "raw", "ema"),
  )
  sha256: str = field.value(
    "", "hash that the model's arrays must have; empty: any"
  )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Model:
  """A frozen model as a procedure sees it.

  Attributes:
    method: of the run.
    weights: of it: arrays, or their shapes.
    key: config key of its path, for messages.
    shapes: nothing is to be computed yet: of its diffusion model what is no
      function can be looked at.
    given: a diffusion model that is no run's, see `of`.
    units: normalisation of its pictures, (mean, std) per channel; None: not
      known, they are those of the run.
  """

  method: methods.Method | None = None
  weights: methods.Weights | None = None
  key: str = "procedure"
  shapes: bool = False
  given: Any = None
  units: Units = None

  @classmethod
  def of(cls, diffuser: Any) -> "Model":
    """A model made of a `diffusion.model.Diffuser` alone."""
    return cls(given=diffuser)

  @property
  def diffuser(self) -> Any:
    """It as functions, a `diffusion.model.Diffuser`.

    Raises:
      UserError: it is no diffusion model.
    """
    made = self.given or self._of_method()
    if made is None:
      raise self._cannot("a diffusion model", "a diffusion method")
    return made

  def _of_method(self) -> Any:
    if not self.shapes:
      return self.method.diffuser(self.weights)
    # Some methods put their weights together first.
    found = []
    look = lambda weights: found.append(self.method.diffuser(weights))
    jax.eval_shape(look, self.weights)
    return found[0]

  def output(self, name: str, batch: Batch, key: jax.Array) -> Any:
    """An output of the method for a batch, see `Method.predict`.

    Raises:
      UserError: it offers no such output.
    """
    offered = self.method.predict()
    if name not in offered:
      raise self._cannot(f"a model that offers {name!r}", f"one with {name!r}")
    return offered[name](self.weights, batch, key)

  def _cannot(self, expected: str, other: str) -> errors.UserError:
    return errors.UserError(
      f"{self.key} names a run of {type(self.method).__module__}, which offers "
      + ", ".join(sorted(self.method.predict())),
      expected,
      f"name a run of {other}",
      self.key,
    )


Models = Mapping[str, Model]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Procedure:
  """Base of all procedures: the defaults of the contract.

  Fields of subclasses are the keys of `config.procedure`. `models`, `inputs`
  and `apply` must be overridden.
  """

  fits: ClassVar[bool] = False  # whether it has `collect` and `fit`
  # Fields that a fit does not depend on: changing them keeps it.
  asked: ClassVar[tuple[str, ...]] = ()

  rt: runtime.Runtime = field.runtime()

  @classmethod
  def tiny(cls) -> "Procedure":
    """The smallest sensible instance, for the contract tests."""
    return cls()

  @classmethod
  def stand_ins(cls) -> dict[str, methods.Method]:
    """Tiny methods in the place of its models, for the contract tests.

    A model that is not among them is a toy that diffuses small images.
    """
    return {}

  def models(self) -> dict[str, Needs]:
    """Frozen models by name, which is that of the field."""
    raise TypeError(f"{type(self).__name__} must define models()")

  def in_own_units(self) -> tuple[str, ...]:
    """Models whose pictures it normalises as their runs did, see `Model.units`.

    Those of all others must be normalised as the data are.
    """
    return ()

  def inputs(self, models: Models) -> dict[str, Input]:
    """What it reads from a batch: name -> shape and dtype.

    A batch has "index" [b] as well. Who reads nothing, or a label alone, needs
    no data: examples are numbers then, their labels the classes in turn.
    """
    raise TypeError(f"{type(self).__name__} must define inputs()")

  def check(self, models: Models) -> None:
    """Raises ValueError for fields or models that do not go together.

    Called before anything is compiled; of the weights only shapes are there.
    """

  def draw(
    self, keys: randomness.Keys, models: Models, example: Batch
  ) -> Draws:
    """All randomness of one example, without a dimension of the batch.

    `keys("noise")` is the key of that name.
    """
    del keys, models, example
    return {}

  def collect(self, models: Models, batch: Batch, draws: Draws) -> Arrays:
    """What the fit reads of a batch: arrays [b, ...] by name."""
    raise TypeError(f"{type(self).__name__} must define collect()")

  def fit(self, rows: Rows) -> Arrays:
    """What is fitted, as arrays by name; on the host, in float64.

    Args:
      rows: of `collect`, batch after batch; their lengths must not matter.
    """
    raise TypeError(f"{type(self).__name__} must define fit()")

  def fitted_like(self, rows: Any) -> Arrays:
    """Shapes of what `fit` makes of rows of these shapes, for --mode=dry_run.

    Args:
      rows: of `collect`, as shapes [b, ...].
    """
    raise TypeError(f"{type(self).__name__} must define fitted_like()")

  def apply(
    self, models: Models, fitted: Arrays, batch: Batch, draws: Draws
  ) -> Arrays:
    """What is made of a batch: arrays [b, ...] by name.

    Args:
      models: by name.
      fitted: of `fit`; {} where there is none.
      batch: of what `inputs` names, and "index".
      draws: of `draw`, with the batch as their first dimension.
    """
    raise TypeError(f"{type(self).__name__} must define apply()")

  def pictures(self) -> tuple[str, ...]:
    """Outputs that are images [b, (k,) h, w, c] in the units of the inputs."""
    return ()


def drawn(
  procedure: Procedure, key: jax.Array, models: Models, batch: Batch
) -> Draws:
  """The draws of a batch [b, ...]; each example has a key of its own.

  Args:
    procedure: whose `draw` is called.
    key: of all examples.
    models: by name.
    batch: with the numbers of its examples, "index" [b].
  """

  def one(number, example):
    keys = randomness.Keys(jax.random.fold_in(key, number))
    return procedure.draw(keys, models, example)

  examples = {name: x for name, x in batch.items() if name != "index"}
  return jax.vmap(one)(batch["index"], examples)
