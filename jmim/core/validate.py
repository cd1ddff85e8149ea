"""Checks of config values: known, of the right type, within limits."""

import dataclasses
import difflib
import math
from collections.abc import Iterable
from collections.abc import Mapping
from typing import Any

import ml_collections

from jmim.core import base_config
from jmim.core import errors
from jmim.core import field
from jmim.core import renamed

# Sections whose keys are the fields of a class, checked by `build`.
OPEN = tuple(base_config.INSIDE)

_ALIKE = 0.65  # least likeness of a misspelt name, of 1


def typed(path: str, value: Any, like: Any) -> Any:
  """`value` as the type of `like`; int to float and list to tuple only.

  Raises:
    UserError: another type, or a number that is not finite (1e999, nan).
  """
  kind = type(like)
  _check_finite(path, value)
  if isinstance(like, ml_collections.ConfigDict):
    raise errors.UserError(
      f"{path}={value!r}",
      f"{path} is a section with keys {list(like)}",
      f"set one of its keys, e.g. {path}.{next(iter(like), 'key')}=...",
      path,
    )
  if like is None or isinstance(value, kind) and kind not in (int, tuple):
    return value
  if kind is int and isinstance(value, int) and not isinstance(value, bool):
    return value
  if kind is float and isinstance(value, int) and not isinstance(value, bool):
    return float(value)
  if kind is tuple and isinstance(value, tuple | list):
    return tuple(_element(path, v, like) for v in value)
  if kind is str and isinstance(value, int | float):
    return str(value)
  raise errors.UserError(
    f"{path}={value!r} ({type(value).__name__})",
    f"{kind.__name__}, such as {like!r}",
    "give a value of that type",
    path,
  )


def _check_finite(path: str, value: Any) -> None:
  """Raises UserError for NaN, inf, and whole numbers beyond any float."""
  try:
    finite = not isinstance(value, int | float) or math.isfinite(value)
  except OverflowError:
    finite = False
  if not finite:
    raise errors.UserError(
      f"{path}={str(value)[:40]}",
      "a finite number",
      "give a number within the range of a float",
      path,
    )


def _element(path: str, value: Any, like: tuple) -> Any:
  """One entry of a tuple, typed like the first of `like`."""
  _check_finite(path, value)
  return typed(path, value, like[0]) if like else value


def paths(node: Mapping[str, Any], prefix: str = "") -> list[str]:
  """All dotted keys of a nested config."""
  keys = []
  for name, value in node.items():
    if isinstance(value, Mapping | ml_collections.ConfigDict) and len(value):
      keys += paths(value, f"{prefix}{name}.")
    else:
      keys.append(prefix + name)
  return keys


def unknown(
  name: str, known: Iterable[str], key: str | None, what: str = "known keys"
) -> errors.UserError:
  """The error for a name that is not among the known ones.

  Args:
    name: what was named, dotted if the known ones are.
    known: what could have been.
    key: config key or flag to change.
    what: what the known ones are, for the message.
  """
  known = sorted(known)
  near = _nearest(name, known)
  listed = ", ".join(near or _beside(name, known))
  return errors.UserError(
    f"unknown key {name!r}",
    f"{'nearest of ' if near else ''}{what}: {listed}",
    f"did you mean {near[0]!r}?" if near else "use one of these",
    key,
  )


def _beside(name: str, known: Iterable[str]) -> Iterable[str]:
  """The names in the same section, or in the next one above it that exists."""
  section = name.rpartition(".")[0]
  while section:
    beside = [k for k in known if k.startswith(f"{section}.")]
    if beside:
      return beside
    section = section.rpartition(".")[0]
  return dict.fromkeys(k.split(".")[0] for k in known)


def _nearest(name: str, known: Iterable[str], most: int = 4) -> list[str]:
  """The names most like one: in their last part, then in the whole.

  What keys of a section have in common, its name, says nothing.
  """

  def likeness(k: str) -> tuple[float, float]:
    last = (x.rpartition(".")[2] for x in (name, k))
    return _ratio(*last), _ratio(name, k)

  ranked = sorted(((likeness(k), k) for k in known), reverse=True)
  return [k for (last, _), k in ranked if last >= _ALIKE][:most]


def _ratio(a: str, b: str) -> float:
  return difflib.SequenceMatcher(None, a, b).ratio()


def check_limits(path: str, value: Any, limits: Any) -> None:
  """Raises UserError if a value is outside its choices or limits.

  Args:
    path: config key, for the message.
    value: its value.
    limits: mapping with any of choices, low, high, above, below.
  """
  choices = limits.get("choices") or ()
  bounds = {
    "low": (">=", lambda v, b: v >= b),
    "high": ("<=", lambda v, b: v <= b),
    "above": (">", lambda v, b: v > b),
    "below": ("<", lambda v, b: v < b),
  }
  set_bounds = {k: limits[k] for k in bounds if limits.get(k) is not None}
  expected = " and ".join(f"{bounds[k][0]} {v}" for k, v in set_bounds.items())
  if choices and value not in choices:
    expected = "one of " + ", ".join(map(repr, choices))
  elif all(bounds[k][1](value, bound) for k, bound in set_bounds.items()):
    return
  raise errors.UserError(
    f"{path}={value!r}", expected, "choose an allowed value", path
  )


def build(
  cls: type, entries: Mapping[str, Any], path: str, start: Any = None
) -> Any:
  """An instance of a documented dataclass from a config section.

  Args:
    cls: dataclass whose fields were made by `field.value` and `field.part`.
    entries: field -> value, besides "type"; a part is a section of its own.
    path: the section's name, for errors.
    start: instance whose values hold where the section names none; None: the
      defaults of the class.

  Raises:
    UserError: unknown field, wrong type, value outside its limits.
  """
  fields, values = field.configured(cls), {}
  for name, value in renamed.current(cls, entries).items():
    key = f"{path}.{name}"
    if name == "type":
      continue
    if name not in fields:
      known = {f"{path}.{n}" for n in (*fields, *field.documented(cls))}
      raise unknown(key, known, key, f"the keys of {path} ({cls.__name__})")
    known = fields[name]
    if "parts" in known.metadata:
      values[name] = _part(known, value, key, start)
      continue
    if isinstance(value, ml_collections.ConfigDict):
      value = value.to_dict()
    like = known.default if start is None else getattr(start, name)
    value = typed(key, value, like)
    check_limits(key, value, known.metadata)
    values[name] = value
  return (
    cls(**values) if start is None else dataclasses.replace(start, **values)
  )


def _part(known: dataclasses.Field, entries: Any, path: str, owner: Any) -> Any:
  """The part of a field: its default, changed by a section of the config."""
  kinds, default = field.kinds(known, owner)
  if not isinstance(entries, Mapping | ml_collections.ConfigDict):
    keys = [*field.configured(type(default))]
    raise errors.UserError(
      f"{path}={entries!r}",
      f"{path} is a section with keys {', '.join(keys)}",
      f"set one of its keys, e.g. {path}.{keys[0]}=...",
      path,
    )
  kind = entries.get("type", field.kind_of(kinds, default))
  if kind not in kinds:
    choices = [name for name in kinds if name]
    raise errors.UserError(
      f"{path}.type={kind!r}",
      "one of " + ", ".join(choices)
      if choices
      else "no type: there is one kind",
      "choose an allowed value",
      f"{path}.type",
    )
  start = kinds[kind]
  return build(type(start), _fitting(kinds, kind, entries), path, start)


def _fitting(
  kinds: Mapping[str, Any], kind: str, entries: Mapping[str, Any]
) -> dict[str, Any]:
  """Entries of a part without defaults that only another kind has.

  A complete config, as a run stores it, keeps them when its type is changed.
  """
  known = field.configured(type(kinds[kind]))
  defaults = [field.settings(part) for part in kinds.values()]
  return {
    name: value
    for name, value in entries.items()
    if name in known
    or not any(name in other and other[name] == value for other in defaults)
  }


def validate(config: ml_collections.ConfigDict) -> None:
  """Checks every key of the closed sections: known, typed, within limits.

  Raises:
    UserError: naming the first key that is wrong.
  """
  keys = base_config.keys(config)
  for path in paths(config.to_dict()):
    top = path.split(".")[0]
    known = without_player(path)
    if (
      top in OPEN and path not in base_config.TYPES or known == f"{top}.players"
    ):
      continue
    if known not in keys:
      raise unknown(path, keys, path)
    value = get(config, path)
    typed(path, value, keys[known].default)
    check_limits(path, value, keys[known].metadata)
  for path in keys:
    if not get(config, path) and path in base_config.needed(config):
      doc, fix = keys[path].metadata["doc"], "set it in the recipe"
      raise errors.UserError(f"{path} is empty", doc, fix, path)


def without_player(path: str) -> str:
  """The key whose type and limits hold for this one.

  "optim.players.generator.lr" -> "optim.lr"; others are their own.
  """
  first, *rest = path.split(".")
  if first in base_config.PER_PLAYER and rest[:1] == ["players"] and rest[2:]:
    return ".".join([first, *rest[2:]])
  return path


def get(config: Any, path: str) -> Any:
  """The value at a dotted path.

  Raises:
    UserError: the config lacks it (a section was replaced, not updated).
  """
  node = config
  for part in path.split("."):
    if not hasattr(node, "keys") or part not in node:
      raise errors.UserError(
        f"the config has no {path}",
        "every key of jmim.core.config.base()",
        "start the recipe from base() and update its sections",
        path,
      )
    node = node[part]
  return node
