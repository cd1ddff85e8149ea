"""A finished run as a frozen model: its method, and the arrays it ended with.

What `jmim.load`, the encoders of FID and the scorers of tokens read. Nothing
of it is trained, and it has no mesh: it runs where JAX puts it.
"""

import dataclasses
import pathlib
from collections.abc import Mapping
from collections.abc import Sequence

import jax
import ml_collections

from jmim.checkpoints import classes
from jmim.checkpoints import frozen
from jmim.checkpoints import identity
from jmim.checkpoints import store as checkpoint
from jmim.checkpoints import weights
from jmim.core import config as configs
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
    classes: names in the order of the logits; (): not known.
  """

  config: ml_collections.ConfigDict
  method: methods.Method
  weights: methods.Weights
  classes: tuple[str, ...] = ()

  def changed(self, items: Sequence[str]) -> "Model":
    """The same weights under a changed config.

    Args:
      items: "key=value", as of `config.override`.

    Raises:
      UserError: an unknown key, or what does not go together.
    """
    config = configs.override(self.config, items)
    method = discovery.make(config.method)
    return dataclasses.replace(self, config=config, method=method)


def of_arrays(
  config: ml_collections.ConfigDict,
  arrays: Mapping[str, jax.typing.ArrayLike],
  known: identity.Digests | None = None,
  where: str | pathlib.Path = "weights",
) -> Model:
  """The model of a config around its leaves.

  Args:
    config: complete.
    arrays: leaf name ("params/...", "extra/...") -> array.
    known: hashes of the frozen networks they were trained on.
    where: they come from, for messages.

  Raises:
    UserError: the method, or one of its frozen networks, cannot be made, or
      it is not the one known.
  """
  method = discovery.make(config.method)
  tree = {"params": {}, "extra": {}} | trees.nested(arrays)
  params, extra = jax.device_put((tree["params"], tree["extra"]))
  wanted = method.consts()
  consts = frozen.load_all(wanted, config.data)
  identity.check(consts, known or {}, where, wanted)
  made = methods.Weights(params, extra, consts)
  return Model(config=config, method=method, weights=made)


def check_method(
  config: ml_collections.ConfigDict, where: pathlib.Path, key: str
) -> None:
  """Raises UserError for a folder whose config is not of a method's run."""
  if "method" not in config:
    raise errors.UserError(
      f"{where}: a config without a method",
      "the workdir or an export of a run",
      "name another folder",
      key,
    )


def on_host(
  config: ml_collections.ConfigDict, known: identity.Digests, host: str
) -> tuple[ml_collections.ConfigDict, identity.Digests]:
  """(the config with another host, the hashes without that of its own).

  Args:
    config: of a method with a part `host`.
    known: hashes of its frozen networks.
    host: path, as `method.host.path`.

  Raises:
    UserError: the method has no host.
  """
  if not hasattr(discovery.make(config.method), identity.HOST):
    raise errors.UserError(
      f"host={host} for {config.method.type}, which is laid over none",
      "weights of a method with method.host",
      "leave it out",
      identity.HOST,
    )
  config = ml_collections.ConfigDict(config.to_dict())
  section = {**config.method.get(identity.HOST, {}), "path": host, "sha256": ""}
  config.method[identity.HOST] = ml_collections.ConfigDict(section)
  return config, {n: x for n, x in known.items() if n != identity.HOST}


def of_run(
  workdir: str | pathlib.Path,
  which: str = "raw",
  key: str | None = None,
  host: str | None = None,
) -> Model:
  """The model of a run's newest checkpoint.

  Args:
    workdir: of the run.
    which: "raw" or "ema".
    key: config key of the workdir, for messages.
    host: another one than it was trained on, see `on_host`.

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
    discovery.check_stored(config, path)
    check_method(config, path, key)
    found = weights.read_sections(path, source, "extra")
  except FileNotFoundError as e:
    raise errors.UserError(
      f"{workdir}: {errors.first_line(e)}",
      f"the workdir of a run with a checkpoint that has {source}",
      "finish that run first, or name another",
      key,
    ) from e
  sections = {"params": found[source], "extra": found["extra"]}
  arrays = {
    f"{section}/{name}": array
    for section, leaves in sections.items()
    for name, array in leaves.items()
  }
  known = identity.read(path)
  if host:
    config, known = on_host(config, known, host)
  try:
    model = of_arrays(config, arrays, known, path)
  except errors.UserError as e:
    if key is None:
      raise
    # Its key is one of that run's config, which nobody can change from here.
    raise errors.UserError(
      f"{workdir}: {e.seen}", e.expected, e.fix, key
    ) from e
  return dataclasses.replace(model, classes=classes.of_run(path))
