"""Configs: the documented base, recipes, overrides, and their checks.

A recipe is a file with `get_config(arg=None)` that starts from `base()` and
sets keys. Nothing here imports a method before a config names it.
"""

import ast
import importlib.util
from collections.abc import Iterable
from collections.abc import Mapping
from typing import Any

import ml_collections

from jmim.core import base_config
from jmim.core import discovery
from jmim.core import durations
from jmim.core import errors
from jmim.core import field
from jmim.core import recipe_path
from jmim.core import renamed
from jmim.core import validate


def base() -> ml_collections.ConfigDict:
  """A fresh config: every key of `base_config.KEYS` at its default."""
  config = ml_collections.ConfigDict(field.settings(base_config.Base()))
  config.evals = ml_collections.ConfigDict()
  for name in base_config.PER_PLAYER:
    config[name].players = ml_collections.ConfigDict()
  return config


def procedure() -> ml_collections.ConfigDict:
  """A fresh config of a procedure, which trains nothing."""
  config = ml_collections.ConfigDict(field.settings(base_config.Applied()))
  config.evals = ml_collections.ConfigDict()
  return config


def section(**entries: Any) -> ml_collections.ConfigDict:
  """A sub-config: `config.method = configs.section(type="mim.mae")`."""
  return ml_collections.ConfigDict(entries)


def parse_arg(arg: str | None, **known: Any) -> ml_collections.ConfigDict:
  """Reads a recipe's argument, `--config=recipe.py:variant=L/16,size=224`.

  Args:
    arg: text after the colon, or None.
    **known: names with their defaults; the default fixes the type.

  Raises:
    UserError: unknown name or wrong type.
  """
  values = dict(known)
  for item in filter(None, (arg or "").split(",")):
    name, _, text = item.partition("=")
    if name not in known:
      raise validate.unknown(name, known, "--config", "the recipe's arguments")
    value = text if isinstance(known[name], str) else _literal(text)
    values[name] = validate.typed(f"--config {name}", value, known[name])
  return ml_collections.ConfigDict(values)


def load(spec: str) -> ml_collections.ConfigDict:
  """Loads "path/to/recipe.py" or "path/to/recipe.py:arg".

  Raises:
    UserError: no such file, no get_config in it, or a key it should not set.
  """
  path, arg = recipe_path.find(spec)
  module_spec = importlib.util.spec_from_file_location("recipe", path)
  if module_spec is None:
    raise errors.UserError(
      f"--config={path} is no Python file",
      "a recipe, <name>.py",
      "name a recipe",
      "--config",
    )
  module = importlib.util.module_from_spec(module_spec)
  module_spec.loader.exec_module(module)
  if not hasattr(module, "get_config"):
    raise errors.UserError(
      f"{path} has no get_config",
      "def get_config(arg=None)",
      "see docs/add_a_method.md for a recipe",
      "--config",
    )
  config = module.get_config(arg) if arg else module.get_config()
  if not isinstance(config, ml_collections.ConfigDict):
    raise errors.UserError(
      f"get_config of {path} returned {type(config).__name__}",
      "the ConfigDict it made from base()",
      "end get_config with `return config`",
      "--config",
    )
  return taken(config)


def taken(config: ml_collections.ConfigDict) -> ml_collections.ConfigDict:
  """A copy without what was set to None: evaluators, or `evals` as a whole.

  Every config comes in here: of a recipe, with overrides, or from Python.
  """
  config = ml_collections.ConfigDict(config.to_dict())
  if config.get("evals") is None:
    config.evals = ml_collections.ConfigDict()
  for name in [n for n, section in config.evals.items() if section is None]:
    del config.evals[name]
  return config


def override(
  config: ml_collections.ConfigDict, items: Iterable[str]
) -> ml_collections.ConfigDict:
  """Applies "optim.lr=1e-3" items, typed like the default of their key.

  A key whose type is text gets the very text, "2024_10" or "None" too; the
  others a Python literal.

  Setting one unit of a duration clears its other units, so that a run of 800
  epochs can be cut with train.total_steps=100; the schedule follows, see
  `durations`. `evals.<name>=None` removes an evaluator, `evals=None` all. What
  is not there is made: `optim.players.<player>.<key>`, and keys below `method`
  and `evals.<name>`, which their classes check.

  Raises:
    UserError: unknown key or wrong type.
  """
  config = taken(config)
  recipe, changed = config.to_dict(), set()
  for item in items:
    path, equals, text = item.partition("=")
    changed.add(path)
    if (path, text) == ("evals", "None"):
      config.evals = ml_collections.ConfigDict()
      continue
    if not equals:
      raise errors.UserError(
        f"--config.{path} without a value",
        f"--config.{path}=VALUE",
        "give it a value",
        path,
      )
    node, last = _section(config, path), _last(path)
    if node is config.evals and text == "None":
      if last not in node:
        evaluators = [f"evals.{name}" for name in node]
        raise validate.unknown(path, evaluators, path, "the evaluators")
      del node[last]
      continue
    like = _like(config, node, path)
    value = text if isinstance(like, str) else _literal(text)
    value = validate.typed(path, value, like)
    if value:
      durations.clear(node, last)
    _clear_older(config, path)
    with node.ignore_type():
      node[last] = value
  durations.keep_shares(config, recipe, changed)
  return config


def _section(
  config: ml_collections.ConfigDict, path: str
) -> ml_collections.ConfigDict:
  """The section that holds the last part of a dotted key."""
  *sections, _ = path.split(".")
  node = config
  for depth, part in enumerate(sections):
    # Sections that are made by naming a key of them: parts, and the settings of
    # a player.
    inside = base_config.INSIDE.get(sections[0], len(sections))
    new = depth >= inside or depth and sections[depth - 1] == "players"
    if new and part not in node:
      node[part] = ml_collections.ConfigDict()
    if not isinstance(node.get(part), ml_collections.ConfigDict):
      raise validate.unknown(path, validate.paths(config), path)
    node = node[part]
  return node


def _like(
  config: ml_collections.ConfigDict, node: ml_collections.ConfigDict, path: str
) -> Any:
  """What fixes the type of a key: its default, or the section there.

  None where the class that the section configures will check it.
  """
  key, now = validate.without_player(path), node.get(_last(path))
  keys = base_config.keys(config)
  if key in keys:
    return keys[key].default
  if isinstance(now, ml_collections.ConfigDict):
    return now
  if path.split(".")[0] not in validate.OPEN:
    known = {*validate.paths(config), *keys}
    raise validate.unknown(path, known, path)
  return "" if _is_text(config, path) else None


def _is_text(config: ml_collections.ConfigDict, path: str) -> bool:
  """Whether a key of the method or of an evaluator has text for a value."""
  if _last(path) == "type":
    return True
  owner, *rest = path.split(".")
  section = config[owner]
  if owner == "evals":
    section, rest = section.get(rest[0], {}), rest[1:]
  try:
    cls = discovery.FIND[owner](section.get("type") or "none")
  except KeyError:  # `session.build` says what there is instead
    return False
  key = ".".join(rest)
  moved = renamed.table(cls, section).get(key)
  known = field.documented(cls).get(moved.key if moved else key)
  return known is not None and isinstance(known.default, str)


def _last(path: str) -> str:
  return path.rpartition(".")[2]


def _clear_older(config: ml_collections.ConfigDict, path: str) -> None:
  """Removes the older name of a key of the method, which would win over it."""
  section, _, key = path.partition(".")
  if section != "method":
    return
  try:
    cls = discovery.find(config.method.type)
  except KeyError:  # `session.build` says what there is instead
    return
  for old, move in renamed.moves(cls, config.method).items():
    if move.key == key or move.key.startswith(f"{key}."):
      del config.method[old]


def _literal(text: str) -> Any:
  """A Python literal, or the text itself when it is none."""
  try:
    return ast.literal_eval(text)
  except (ValueError, SyntaxError):
    return text


def for_player(
  config: ml_collections.ConfigDict, name: str, player: str
) -> dict[str, Any]:
  """Section `name` with what `<name>.players.<player>` overrides."""
  values = config[name].to_dict()
  players = values.pop("players")
  return {**values, **players.get(player, {})}


def flat(config: Mapping[str, Any]) -> dict[str, Any]:
  """Dotted key -> value of everything in a nested config."""
  return {path: validate.get(config, path) for path in validate.paths(config)}


def changes(
  before: Mapping[str, Any],
  after: Mapping[str, Any],
  defaults: Mapping[str, Any] | None = None,
) -> dict[str, str]:
  """Dotted key -> "key: old -> new" of what differs between two configs.

  A key that only the later one has is no change while it is at its default.

  Args:
    before: nested dict.
    after: nested dict.
    defaults: dotted key -> value, of keys below `method` and `evals`.
  """
  known = {key: f.default for key, f in base_config.KEYS.items()}
  known |= defaults or {}
  # A section without anything in it is no key.
  old, new = (
    {key: _listed(value) for key, value in flat(config).items() if value != {}}
    for config in (before, after)
  )
  old = {k: _listed(known[k]) for k in new if k in known} | old
  return {
    key: f"{key}: {old.get(key)} -> {new.get(key)}"
    for key in sorted(old.keys() | new.keys())
    if old.get(key) != new.get(key)
  }


def _listed(value: Any) -> Any:
  """A value with lists for tuples, as JSON has it."""
  if isinstance(value, tuple | list):
    return [_listed(x) for x in value]
  return value
