"""Methods, procedures and evaluators by name: modules of jmim, or others.

Nothing is registered: a file is there, or it is not.
"""

import importlib
import importlib.util
import pkgutil
import re
import sys
from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Iterator
from collections.abc import Mapping
from typing import Any

from jmim.core import errors
from jmim.core import field
from jmim.core import method
from jmim.core import procedure
from jmim.core import validate


def find(name: str) -> type[method.Method]:
  """The method class of "mim.mae": in jmim/methods/mim/mae.py.

  A name with a module path of its own ("my_package.my_method") works too.

  Raises:
    KeyError: no such module, or no Method subclass in it.
  """
  return _find(name, method.Method)


def find_procedure(name: str) -> type[procedure.Procedure]:
  """The procedure class of "edit.img2img"; see `find`."""
  return _find(name, procedure.Procedure)


def _find(name: str, base: type) -> Any:
  """The last class of a module that is a `base`."""
  for module_name in (f"jmim.methods.{name}", name):
    if not module_exists(module_name):
      continue
    if found := _classes(module_name, base):
      return found[-1]
  raise KeyError(name)


def _classes(module_name: str, base: type) -> list[Any]:
  """Those of a module that are a `base`."""
  module = importlib.import_module(module_name)
  return [
    v
    for v in vars(module).values()
    if isinstance(v, type)
    and issubclass(v, base)
    and v.__module__ == module.__name__
  ]


def find_evaluator(name: str) -> type:
  """The class `Evaluator` of jmim/evals/<name>.py, or of any module path.

  Raises:
    KeyError: there is no such module.
  """
  for module_name in (f"jmim.evals.{name}", name):
    if module_exists(module_name):
      module = importlib.import_module(module_name)
      if hasattr(module, "Evaluator"):
        return module.Evaluator
  raise KeyError(name)


# Section of a config -> what finds the class that it configures.
FIND = {
  "method": find,
  "procedure": find_procedure,
  "evals": find_evaluator,
}


_BASES = {"method": method.Method, "procedure": procedure.Procedure}
# Section of a config -> package of ours in which its types are.
_OURS = {
  "method": "jmim.methods",
  "procedure": "jmim.methods",
  "evals": "jmim.evals",
}


def trusted(section: str, name: str) -> bool:
  """Whether a type may be looked up because a file says so.

  It is if it is one of ours, or if the program has imported its module before:
  then nothing new is run.

  Args:
    section: one of `FIND`.
    name: the type, "mim.mae" or "my_package.my_method".
  """
  if not name or name in sys.modules:
    return True
  package = _OURS[section]
  path = name if name.startswith(f"{package}.") else f"{package}.{name}"
  if not module_exists(path):
    return False
  # Where ours has no such class ("parts"), theirs of that name would be looked
  # at, which may lie in this folder.
  if section == "evals":
    return hasattr(importlib.import_module(path), "Evaluator")
  return bool(_classes(path, _BASES[section]))


def check_stored(
  config: Mapping[str, Any],
  where: Any,
  sections: Collection[str] = ("method", "procedure"),
) -> None:
  """Holds a config that was read from a file, and not made by a recipe.

  Args:
    config: of a run or an export.
    where: its file or folder, for the message.
    sections: those that will be looked up.

  Raises:
    UserError: it names a module that is neither ours nor imported.
  """
  for section, name in _types(config, sections):
    if not isinstance(name, str) or not trusted(section, name):
      raise errors.UserError(
        f"{where}: its {section} has the type {str(name):.80}",
        f"one of {_OURS[section]}: nothing is imported because a file says so",
        f"if you trust it, name its recipe (--config), or import {name} before "
        "(a recipe may do that)",
        f"{section}.type",
      )


def _types(
  config: Mapping[str, Any], sections: Collection[str]
) -> Iterator[tuple[str, Any]]:
  """(section, its type) of those that are there; None: it is no section."""
  of = lambda one: one.get("type", "") if hasattr(one, "get") else None
  for section in sections:
    one = config.get(section, {})
    if section == "evals" and hasattr(one, "values"):
      yield from ((section, of(evaluator)) for evaluator in one.values())
    else:
      yield section, of(one)


def module_exists(module_name: str) -> bool:
  """Whether a module can be found, its parents included."""
  parts = module_name.split(".")
  for i in range(1, len(parts) + 1):
    spec = all(parts) and importlib.util.find_spec(".".join(parts[:i]))
    # Below a module that is no package there is nothing, and asking raises.
    if not spec or i < len(parts) and not spec.submodule_search_locations:
      return False
  return True


def names() -> list[str]:
  """All methods below jmim/methods, as `find` takes them.

  Each is a file of a folder, but those of `parts`; files that begin with an
  underscore hold what methods share.
  """
  return _having(find)


def procedures() -> list[str]:
  """All procedures below jmim/methods, as `find_procedure` takes them."""
  return _having(find_procedure)


def evaluators() -> list[str]:
  """All modules of jmim/evals, as `find_evaluator` takes them."""
  package = importlib.import_module(_OURS["evals"])
  return [m.name for m in pkgutil.iter_modules(package.__path__) if not m.ispkg]


def _having(find_it: Callable[[str], type]) -> list[str]:
  """Modules of methods in which something is found."""

  def has(name: str) -> bool:
    try:
      return bool(find_it(name))
    except KeyError:
      return False

  return [name for name in _modules() if has(name)]


def _modules() -> list[str]:
  """Files of methods and procedures, as `find` takes them."""
  root = importlib.import_module("jmim.methods")
  prefix = root.__name__ + "."
  modules = pkgutil.walk_packages(root.__path__, prefix)
  names = [m.name.removeprefix(prefix) for m in modules if not m.ispkg]

  def is_method(name: str) -> bool:
    folder, _, file = name.rpartition(".")
    return folder not in ("", "parts") and not file.startswith("_")

  return sorted(filter(is_method, names))


def make(section: Mapping[str, Any], path: str = "method") -> method.Method:
  """The method of a section of a config.

  Args:
    section: `type`, and fields of its class.
    path: of the section, for messages.

  Raises:
    UserError: unknown type, field or value, or an architecture that cannot
      be built.
  """
  name = section["type"]
  try:
    cls = find(name)
  except KeyError:
    raise _unknown(f"{path}.type", name, names()) from None
  made = validate.build(cls, section, path)
  try:
    made.inputs()
  except ValueError as e:
    keys = ", ".join(f"{path}.{key}" for key in _keys_in(str(e), cls))
    raise errors.UserError(
      str(e),
      "an architecture that fits together",
      f"change {keys or f'{path}.dims or {path}.size'}",
      keys or path,
    ) from e
  return made


def make_procedure(section: Mapping[str, Any]) -> procedure.Procedure:
  """The procedure of a section of a config.

  Raises:
    UserError: unknown type, field or value.
  """
  try:
    cls = find_procedure(section["type"])
  except KeyError:
    key = "procedure.type"
    raise _unknown(key, section["type"], procedures()) from None
  return validate.build(cls, section, "procedure")


def _unknown(key: str, name: str, known: list[str]) -> errors.UserError:
  return errors.UserError(
    f"{key}={name!r}",
    "one of " + ", ".join(known),
    "name a module below jmim/methods, or a full module path",
    key,
  )


def _keys_in(text: str, cls: type[method.Method]) -> list[str]:
  """Keys of a class that a message names: "decoder_width", of decoder_dims."""
  words = set(re.findall(r"\w+", text))
  flat = lambda key: key.replace("dims.", "").rpartition(".")[2]
  return [key for key in field.documented(cls) if flat(key) in words]
