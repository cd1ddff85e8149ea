"""Methods by name: modules below jmim/methods, or of anyone else.

Nothing is registered: a file is there, or it is not.
"""

import importlib
import importlib.util
import pkgutil

from jmim.core import method


def find(name: str) -> type[method.Method]:
  """The method class of "mim.mae": in jmim/methods/mim/mae.py.

  A name with a module path of its own ("my_package.my_method") works too.

  Raises:
    KeyError: no such module, or no Method subclass in it.
  """
  for module_name in (f"jmim.methods.{name}", name):
    if not module_exists(module_name):
      continue
    module = importlib.import_module(module_name)
    found = [
      v
      for v in vars(module).values()
      if isinstance(v, type)
      and issubclass(v, method.Method)
      and v.__module__ == module.__name__
    ]
    if found:
      return found[-1]
  raise KeyError(name)


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

  Files that begin with an underscore hold what methods share.
  """
  root = importlib.import_module("jmim.methods")
  prefix = root.__name__ + "."
  modules = pkgutil.walk_packages(root.__path__, prefix)
  found = [m.name[len(prefix) :] for m in modules if not m.ispkg]
  return sorted(n for n in found if not n.rpartition(".")[2].startswith("_"))
