"""A finished run as a frozen model: its method, and the arrays it ended with.

What `jmim.load`, the encoders of FID and the scorers of tokens read. Nothing
of it is trained, and it has no mesh: it runs where JAX puts it.
"""

import dataclasses
import pathlib
from collections.abc import Mapping

import jax
import ml_collections

from jmim.checkpoints import frozen
from jmim.checkpoints import store as checkpoint
from jmim.checkpoints import weights
from jmim.core import discovery
from jmim.core import errors
from jmim.core import home
from jmim.core import method as methods
from jmim.core import tree as trees


@dataclasses.dataclass(frozen=True, kw_only=True)
class Model:
  """A method with its weights.

  Attributes:
    config: of the run, complete.
    method: with the default runtime.
    weights: on the default device.
  """

  config: ml_collections.ConfigDict
  method: methods.Method
  weights: methods.Weights


def of_arrays(
  config: ml_collections.ConfigDict, arrays: Mapping[str, jax.typing.ArrayLike]
) -> Model:
  """The model of a config around its leaves.

  Args:
    config: complete.
    arrays: leaf name ("params/...", "extra/...") -> array.

  Raises:
    UserError: the method, or one of its frozen networks, cannot be made.
  """
  method = discovery.make(config.method)
  tree = {"params": {}, "extra": {}} | trees.nested(arrays)
  params, extra = jax.device_put((tree["params"], tree["extra"]))
  consts = frozen.load_all(method.consts(), config.data)
  made = methods.Weights(params, extra, consts)
  return Model(config=config, method=method, weights=made)


def of_run(
  workdir: str | pathlib.Path, which: str = "raw", key: str | None = None
) -> Model:
  """The model of a run's newest checkpoint.

  Args:
    workdir: of the run.
    which: "raw" or "ema".
    key: config key of the workdir, for messages.

  Raises:
    UserError: no config or checkpoint, no EMA, or as `of_arrays`.
  """
  path = home.expand(workdir, key)
  if which not in weights.SECTIONS:
    raise errors.UserError(
      f"weights {which!r}", "raw or ema", "choose one of them", "weights"
    )
  source = weights.SECTIONS[which]
  try:
    config = ml_collections.ConfigDict(checkpoint.read_config(path))
    sections = {"params": weights.read_section(path, source)}
  except FileNotFoundError as e:
    raise errors.UserError(
      f"{workdir}: {errors.first_line(e)}",
      f"the workdir of a run with a checkpoint that has {source}",
      "finish that run first, or name another",
      key,
    ) from e
  try:
    sections["extra"] = weights.read_section(path, "extra")
  except FileNotFoundError:  # a method without saved statistics
    pass
  arrays = {
    f"{section}/{name}": array
    for section, leaves in sections.items()
    for name, array in leaves.items()
  }
  return of_arrays(config, arrays)
