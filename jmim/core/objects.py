"""Names of Python objects in a config: "my_module.my_data"."""

import inspect
import pathlib
import re
import sys
from collections.abc import Iterator
from collections.abc import Mapping
from typing import Any

from jmim.core import errors

_NAME = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+")
# Keys of evaluators that name data sets.
_DATA_OF_EVALS = ("data", "queries", "gallery")
# Modules whose functions are no data of a user, and folders of such.
_LIBRARIES = frozenset((*sys.stdlib_module_names, "jmim"))
_INSTALLED = frozenset(("site-packages", "dist-packages"))


def is_name(text: str) -> bool:
  """Whether that is a module and an attribute, with a dot between them."""
  return _NAME.fullmatch(text) is not None


def check_data(config: Mapping[str, Any], where: Any) -> None:
  """Holds the data sets of a config that was read from a file.

  An object is looked up, and a function called, only if it is of a module that
  the user's own program has imported: `os.system` would take a split's name.

  Raises:
    UserError: it is an object of any other module.
  """
  for key, name in _data(config):
    module = name.rpartition(".")[0]
    if is_name(name) and not _of_the_user(name):
      raise errors.UserError(
        f"{where}: {key} is {name:.80}",
        "data without a program: nothing is imported or called because a file "
        "says so",
        f"if you trust it, name its recipe (--config), or import {module} "
        "before, if that is a file of your own",
        key,
      )


def _data(config: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
  """(key, name) of all data sets of a config."""
  of = lambda one, key: one.get(key, "") if hasattr(one, "get") else ""
  data, evals = of(config, "data"), of(config, "evals")
  yield "data.name", str(of(data, "name"))
  for entry in of(data, "mixture") or ():
    if isinstance(entry, tuple | list) and entry:
      yield "data.mixture", str(entry[0])
  for name in evals or ():
    for key in _DATA_OF_EVALS:
      yield f"evals.{name}.{key}", str(of(evals[name], key))


def _of_the_user(name: str) -> bool:
  """Whether an object is of an imported module that is no library."""
  module_name, _, attribute = name.rpartition(".")
  module = sys.modules.get(module_name)
  if module is None:
    return False
  spec = getattr(module, "__spec__", None)  # None: a script, or made by hand
  names = {module_name, spec.name if spec else module_name}
  if {name.partition(".")[0] for name in names} & _LIBRARIES:
    return False
  file = getattr(module, "__file__", None)
  if spec and not file or _INSTALLED & set(pathlib.Path(file or "").parts):
    return False
  found = getattr(module, attribute, None)
  # What a module of the user has imported itself is not the user's.
  made_there = getattr(found, "__module__", module_name) == module_name
  return made_there or not (inspect.isroutine(found) or inspect.isclass(found))
