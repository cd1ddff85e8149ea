"""Every config key that is not a method's or an evaluator's own.

`config.method` (or `config.procedure`) and `config.evals.<name>` are documented
by the fields of the classes they name; the other sections by those of
`jmim.core.settings`.
"""

import dataclasses
from collections.abc import Container

from jmim.core import errors
from jmim.core import field
from jmim.core.settings import data as data_settings
from jmim.core.settings import hardware as hardware_settings
from jmim.core.settings import optim as optim_settings
from jmim.core.settings import run as run_settings


@dataclasses.dataclass(frozen=True, kw_only=True)
class Method:
  """The one key that all methods have."""

  type: str = field.value(
    "", "module below jmim/methods, e.g. 'mim.mae', or a full module path"
  )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Procedure:
  """The one key that all procedures have."""

  type: str = field.value(
    "", "module below jmim/methods, e.g. 'edit.img2img', or a full module path"
  )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Base:
  """A config: its sections, and the seed."""

  seed: int = field.value(
    0,
    "seed of init, data order and draws; another for a repeat",
    low=0,
    high=2**32 - 1,
  )
  method: Method = field.part(Method, "the method")
  data: data_settings.Data = field.part(data_settings.Data, "the data")
  optim: optim_settings.Optim = field.part(
    optim_settings.Optim, "the optimizer"
  )
  schedule: optim_settings.Schedule = field.part(
    optim_settings.Schedule, "the learning rate over the steps"
  )
  init_from: run_settings.InitFrom = field.part(
    run_settings.InitFrom, "the run to start from"
  )
  train: run_settings.Train = field.part(run_settings.Train, "the run")
  ema: run_settings.Ema = field.part(
    run_settings.Ema, "average of the parameters"
  )
  sample: run_settings.Sample = field.part(run_settings.Sample, "--mode=sample")
  logging: run_settings.Logging = field.part(run_settings.Logging, "boards")
  hardware: hardware_settings.Hardware = field.part(
    hardware_settings.Hardware, "how it is run; changes no result"
  )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Applied:
  """A config of what trains nothing."""

  seed: int = field.value(
    0,
    "seed of draws; a result is a function of it and of its example",
    low=0,
    high=2**32 - 1,
  )
  procedure: Procedure = field.part(Procedure, "the procedure")
  data: data_settings.Data = field.part(data_settings.Data, "the data")
  apply: run_settings.Apply = field.part(run_settings.Apply, "--mode=apply")
  logging: run_settings.Logging = field.part(run_settings.Logging, "boards")
  hardware: hardware_settings.Hardware = field.part(
    hardware_settings.Hardware, "how it is run; changes no result"
  )


# Dotted key -> field: default (which fixes the type), documentation, limits.
KEYS: dict[str, dataclasses.Field] = field.documented(Base)
APPLIED: dict[str, dataclasses.Field] = field.documented(Applied)
# Sections that `procedure` takes the place of.
TRAINED = ("method", "optim", "schedule", "train", "ema", "init_from", "sample")

# Sections of which any entry may be overridden for one player:
# config.optim.players.<player>.<key of optim>.
PER_PLAYER = ("optim",)

TYPES = ("method.type", "procedure.type")
# Sections whose keys are the fields of a class -> where its parts begin.
INSIDE = {"method": 1, "procedure": 1, "evals": 2}


def needed(config: Container[str]) -> tuple[str, ...]:
  """Keys that must not be empty; a procedure may read no data."""
  return TYPES if "procedure" in config else (*TYPES, "data.name")


def keys(config: Container[str]) -> dict[str, dataclasses.Field]:
  """Those of a config: of a method that is trained, or of a procedure.

  Raises:
    UserError: it is of both.
  """
  trained = [name for name in TRAINED if name in config]
  if "procedure" in config and trained:
    raise errors.UserError(
      f"sections procedure and {', '.join(trained)}",
      "a procedure, which trains nothing, or a method",
      "start the recipe of a procedure from configs.procedure()",
      "procedure",
    )
  return APPLIED if "procedure" in config else KEYS
