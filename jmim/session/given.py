"""The frozen models of a procedure: a run, an export, or shapes of a recipe."""

import dataclasses
from collections.abc import Callable
from typing import Any

import ml_collections

from jmim.checkpoints import identity
from jmim.checkpoints import models as frozen
from jmim.checkpoints import note
from jmim.core import config as configs
from jmim.core import discovery
from jmim.core import errors
from jmim.core import home
from jmim.core import method as methods
from jmim.core import procedure as procedures
from jmim.core import run_config
from jmim.core import runtime
from jmim.evals.lib import predict
from jmim.session import assemble

# (folder or file, "raw" or "ema") -> (model, outputs that it lacks).
Opener = Callable[[str, str], tuple[frozen.Model, Any]]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Given:
  """A model that is there, or its shapes.

  Attributes:
    method: with the runtime of the procedure.
    weights: arrays, or shapes.
    config: of the run.
    key: config key of its path.
    sha256: hash of its arrays; "": only shapes are known.
  """

  method: methods.Method
  weights: methods.Weights
  config: ml_collections.ConfigDict
  key: str
  sha256: str = ""

  def model(self, weights: methods.Weights | None = None) -> procedures.Model:
    """It as a procedure sees it.

    Args:
      weights: inside a program: its arguments; None: before there is one.
    """
    shapes = weights is None
    return procedures.Model(
      method=self.method,
      weights=self.weights if shapes else weights,
      key=self.key,
      shapes=shapes,
      units=(tuple(self.config.data.mean), tuple(self.config.data.std)),
    )

  def unrolled(self, weights: methods.Weights) -> procedures.Model:
    """It inside a program that calls the network many times."""
    return self.model(predict.unrolled(self.method, weights))


def read(
  needs: procedures.Needs, key: str, *, open_it: Opener, rt: runtime.Runtime
) -> Given:
  """A trained model.

  Args:
    needs: which.
    key: section of the config that says so.
    open_it: `convert.opening.model`.
    rt: of the procedure.

  Raises:
    UserError: there is none, or none that can be read.
  """
  path = f"{key}.path"
  if not needs.path:
    raise errors.UserError(
      f"{path} is empty",
      "the workdir of a trained run, or an export of one",
      f"add --config.{path}=RUN",
      path,
    )
  try:
    model, _ = open_it(needs.path, _which(needs))
  except errors.UserError as e:
    where = f"{key}.weights" if e.key == "weights" else path
    raise errors.UserError(
      f"{path}={needs.path!r}: {e.seen}", e.expected, e.fix, where
    ) from e
  found = identity.of_weights(model.weights)
  if needs.sha256 not in ("", found):
    raise errors.UserError(
      f"{path}={needs.path!r}, whose arrays have sha256 {found}",
      needs.sha256,
      "name the right model, or change the hash if you mean this one",
      f"{key}.sha256",
    )
  method = dataclasses.replace(model.method, rt=rt)
  return Given(
    method=method,
    weights=model.weights,
    config=model.config,
    key=path,
    sha256=found,
  )


def _which(needs: procedures.Needs) -> str:
  """The weights that "auto" means: the EMA of a run that has one."""
  if needs.weights != "auto":
    return needs.weights
  folder = home.expand(needs.path, "path")
  if not (folder / "checkpoints").is_dir():
    return "raw"
  return "ema" if run_config.load(folder).get("ema", {}).get("decay") else "raw"


def shapes(needs: procedures.Needs, key: str, *, rt: runtime.Runtime) -> Given:
  """A model by its config alone: that of its folder, else of a recipe.

  Arguments as of `read`.

  Raises:
    UserError: neither is there.
  """
  config = _config(needs, key)
  method = discovery.make(config.method)
  method = dataclasses.replace(method, rt=rt)
  weights = assemble.abstract(method)
  path = f"{key}.path"
  return Given(method=method, weights=weights, config=config, key=path)


def _config(needs: procedures.Needs, key: str) -> ml_collections.ConfigDict:
  folder = home.expand(needs.path, f"{key}.path")
  exported = note.read(folder) if needs.path else None
  if exported:  # its config.json may be a library's
    return exported["config"]
  if needs.path and (folder / "config.json").is_file():
    return run_config.load(folder)
  if needs.recipe:
    return configs.load(needs.recipe)
  raise errors.UserError(
    f"{key}.path={needs.path!r} and no {key}.recipe",
    "a run, or the recipe of one, whose shapes are compiled",
    f"add --config.{key}.recipe=configs/RECIPE.py",
    f"{key}.recipe",
  )
