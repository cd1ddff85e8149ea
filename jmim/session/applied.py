"""From the config of a procedure to its parts; mistakes are found here.

What `assemble` is to a method. Nothing is compiled and nothing is written
before all of it has passed.
"""

import dataclasses
import re
from collections.abc import Callable
from collections.abc import Sequence
from typing import Any

import jax
import ml_collections
import numpy as np

from jmim.core import discovery
from jmim.core import errors
from jmim.core import field
from jmim.core import method as methods
from jmim.core import procedure as procedures
from jmim.core import runtime
from jmim.data import inputs as checks
from jmim.data import pipeline
from jmim.data import splits
from jmim.evals.lib import base as eval_base
from jmim.parallel import sharding
from jmim.session import build
from jmim.session import given
from jmim.session import opened

OUTPUT = "apply"  # what evaluators ask for
# (model, section of the config) -> what is there of it.
Find = Callable[..., given.Given]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Face(methods.Method):
  """A procedure as evaluators see it: a method with one output."""

  procedure: Any = None
  models: Any = None

  def inputs(self) -> dict[str, methods.Input]:
    """Those of the procedure."""
    return self.procedure.inputs(self.models)

  def predict(self) -> dict[str, methods.Predict]:
    """apply; what it gives has been computed and stored before."""

    def stored(weights, batch, key):
      raise TypeError("results are read, not computed")

    return {OUTPUT: stored}


class Numbers:
  """Examples of which there is nothing but their numbers, perhaps a class."""

  classes = ()

  def __init__(self, n: int, num_classes: int = 0):
    """n examples; the classes come in turn."""
    self._n, self.num_classes = n, num_classes or None

  def __len__(self) -> int:
    return self._n

  def __getitem__(self, i: int) -> dict[str, Any]:
    classes = self.num_classes
    label = {"label": np.int32(i % classes)} if classes else {}
    return {"number": np.int32(i), **label}

  def name(self, i: int) -> str:
    """For messages."""
    return f"number {i}"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Parts:
  """What a procedure is made of.

  Attributes:
    config: complete: what the recipe leaves out is at its default.
    mesh: devices.
    procedure: with its runtime.
    given: its models by name.
    shown: the same as the procedure sees them, before anything is computed.
    spec: of the input pipeline.
    sources: "train" and "eval", as far as they are read.
    evaluators: by name.
  """

  config: ml_collections.ConfigDict
  mesh: jax.sharding.Mesh
  procedure: procedures.Procedure
  given: dict[str, given.Given]
  shown: procedures.Models
  spec: pipeline.Spec
  sources: dict[str, Any]
  evaluators: dict[str, eval_base.Evaluator]

  @property
  def face(self) -> Face:
    """What evaluators see."""
    return Face(procedure=self.procedure, models=self.shown)

  @property
  def inputs(self) -> dict[str, methods.Input]:
    """What it reads from a batch."""
    return self.procedure.inputs(self.shown)

  def layout(self, owner: given.Given) -> sharding.Layout:
    """Where the arrays of a model live."""
    hardware, axes = self.config.hardware, owner.method.axes()
    return build.make_layout(hardware, self.mesh, axes)


def make(
  config: ml_collections.ConfigDict,
  find: Find,
  devices: Sequence[Any] | None = None,
  data: bool = True,
) -> Parts:
  """Checks a config and builds everything but programs.

  Args:
    config: of a procedure, to be checked.
    find: (needs, section, rt=) -> a model: `given.read` or `given.shapes`.
    devices: of the mesh; None: those of this process.
    data: False: nothing is read.

  Raises:
    UserError: at the first thing that cannot work.
  """
  procedure = discovery.make_procedure(config.procedure)
  mesh = sharding.make_mesh(config.hardware.mesh, devices)
  rt = build.make_runtime(config.hardware, mesh)
  procedure = dataclasses.replace(procedure, rt=rt)
  found = find_models(procedure, find, rt)
  shown = {name: one.model() for name, one in found.items()}
  read = _inputs(procedure, shown)
  alike = {n: x for n, x in found.items() if n not in procedure.in_own_units()}
  _check_pixels(config, alike)
  spec = build.make_spec(config, read)
  reads_data = bool(set(read) - {"label"})
  if reads_data:
    checks.check_settings(spec, read, config.procedure.type)
  sharding.check_batch(config.data.batch, 1, mesh)
  face = Face(procedure=procedure, models=shown)
  _check_apply(config, procedure, reads_data)
  evaluators = build.make_evaluators(config, face)
  parts = Parts(
    config=build.resolved(config, procedure, evaluators, "procedure"),
    mesh=mesh,
    procedure=procedure,
    given=found,
    shown=shown,
    spec=spec,
    sources={},
    evaluators=evaluators,
  )
  if not data:
    return parts
  sources = _sources(parts, read) if reads_data else _numbers(parts, read)
  return dataclasses.replace(parts, sources=sources)


def find_models(
  procedure: procedures.Procedure, find: Find, rt: runtime.Runtime
) -> dict[str, given.Given]:
  """The models of a procedure by name, see `make`."""
  return {
    name: find(needs, f"procedure.{name}", rt=rt)
    for name, needs in procedure.models().items()
  }


def _inputs(
  procedure: procedures.Procedure, models: procedures.Models
) -> dict[str, methods.Input]:
  """What it reads; raises UserError for what its models cannot do."""
  try:
    read = procedure.inputs(models)
    procedure.check(models)
  except errors.UserError:
    raise
  except ValueError as e:
    known = [*field.documented(type(procedure)), *models]
    words = [w for w in re.findall(r"[\w.]+", str(e)) if w in known]
    keys = [f"procedure.{word}" for word in dict.fromkeys(words)]
    raise errors.UserError(
      str(e),
      "a procedure and models that go together",
      f"change {' or '.join(keys) or 'procedure'}",
      keys[0] if keys else "procedure",
    ) from e
  return read


def _check_pixels(
  config: ml_collections.ConfigDict, found: dict[str, given.Given]
) -> None:
  """Raises UserError for a model of images that are normalised otherwise."""
  for one in found.values():
    for name in ("mean", "std"):
      ours, theirs = config.data[name], one.config.data[name]
      if tuple(ours) != tuple(theirs):
        raise errors.UserError(
          f"{one.key}: a model of data.{name}={tuple(theirs)}, and here "
          f"data.{name}={tuple(ours)}",
          "the same: pixels mean nothing else to it",
          f"set data.{name}={tuple(theirs)}",
          f"data.{name}",
        )


def _check_apply(
  config: ml_collections.ConfigDict,
  procedure: procedures.Procedure,
  reads_data: bool,
) -> None:
  """Raises UserError for settings of `apply` that cannot be followed."""
  asked, names = config.apply, tuple(config.apply.splits)
  unknown = set(names) - set(splits.OF_RUN)
  if not names or unknown or len(set(names)) < len(names):
    raise errors.UserError(
      f"apply.splits={names}",
      "'train', 'eval' or both, once each",
      "correct it",
      "apply.splits",
    )
  if reads_data and not config.data.name:
    raise errors.UserError(
      f"data.name is empty, and {config.procedure.type} reads examples",
      "the name of a data set",
      "set it in the recipe",
      "data.name",
    )
  if asked.repeats > 1 and not reads_data:
    raise errors.UserError(
      f"apply.repeats={asked.repeats}: {config.procedure.type} reads no data",
      "examples that several results can be of",
      "raise apply.num instead",
      "apply.repeats",
    )
  missing = [] if asked.num else ["num"]
  if procedure.fits and not asked.fit_num:
    missing.append("fit_num")
  if missing and not reads_data:
    key = f"apply.{missing[0]}"
    raise errors.UserError(
      f"{key}=0, and {config.procedure.type} reads no data",
      "a number of examples: there is no data set to say it",
      "set it",
      key,
    )


def _sources(parts: Parts, read: dict[str, methods.Input]) -> dict[str, Any]:
  """The data that are read."""
  sources = opened.make_sources(parts.config)
  wanted = {*parts.config.apply.splits}
  wanted |= {"train"} if parts.procedure.fits else set()
  for name in wanted:
    pipeline.check_example(
      sources[name], parts.spec, training=False, inputs=read
    )
  return sources


def _numbers(
  parts: Parts, read: dict[str, methods.Input]
) -> dict[str, Numbers]:
  """Stands for data: examples without any."""
  classes = read["label"].high if "label" in read else 0
  asked = parts.config.apply
  sizes = {"train": max(asked.num, asked.fit_num), "eval": asked.num}
  return {name: Numbers(n, classes) for name, n in sizes.items()}
