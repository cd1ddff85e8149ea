"""The config that a run was trained with, as workdir/config.json has it."""

import json
import pathlib
from collections.abc import Iterable
from collections.abc import Mapping
from typing import Any

import ml_collections

from jmim.core import base_config
from jmim.core import config as configs
from jmim.core import discovery
from jmim.core import errors
from jmim.core import field
from jmim.core import objects

# Keys beside those of the method that say what weights mean: which pixels they
# were trained on.
_PIXELS = (
  "data.mean",
  "data.std",
  "data.size",
  "data.height",
  "data.channels",
  "data.volume_mean",
  "data.volume_std",
)


def load(workdir: pathlib.Path) -> ml_collections.ConfigDict:
  """The config of a run, complete; a key that is newer is at its default.

  Raises:
    UserError: the folder has none that can be read, or it names modules that
      are not to be imported (see `discovery.check_stored`), or data that are
      not to be (see `objects.check_data`).
  """
  path = pathlib.Path(workdir) / "config.json"
  try:
    stored = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(stored, dict):
      raise ValueError(f"a {type(stored).__name__}")
    sections = dict(stored)
  except (OSError, ValueError, RecursionError) as e:
    raise errors.UserError(
      f"no --config, and none in {workdir} ({errors.first_line(e)})",
      "a recipe, or the workdir of a run",
      "add --config=RECIPE, or correct --workdir",
      "--config",
    ) from e
  discovery.check_stored(stored, path, sections=tuple(discovery.FIND))
  objects.check_data(stored, path)
  fresh_config = configs.procedure if "procedure" in sections else configs.base
  config = fresh_config().to_dict()
  for name, section in sections.items():
    fresh = config.get(name)
    # Of the method and the evaluators their classes know the defaults.
    fill = isinstance(fresh, dict) and name not in base_config.INSIDE
    config[name] = fresh | section if fill else section
  return ml_collections.ConfigDict(_tuples(config))


def _tuples(value: Any) -> Any:
  """The same with tuples where JSON has lists."""
  if isinstance(value, Mapping):
    return {k: _tuples(v) for k, v in value.items()}
  return tuple(map(_tuples, value)) if isinstance(value, list) else value


def of_weights(keys: Iterable[str], before: Mapping[str, Any]) -> list[str]:
  """Those of some changed keys without which weights mean something else.

  All of the method but what is asked of it (`field.asked`), what pixels are,
  and whether there is an EMA.

  Args:
    keys: dotted.
    before: the config that the run was trained with.
  """
  has_ema = before.get("ema", {}).get("decay", 0) > 0
  type_ = before.get("method", {}).get("type", "")
  known = type_ and discovery.trusted("method", type_)
  free = field.asked(discovery.find(type_)) if known else ()
  return [
    key
    for key in keys
    if key.startswith("method.")
    and key.removeprefix("method.") not in free
    or key in _PIXELS
    or key == "ema.decay"
    and not has_ema
  ]
