"""All families of weights, by the name that `--from` takes.

Nothing is registered: each file of `convert.tables` ends with its `FAMILIES`,
or it is not there. The tables are imported when the first family is looked up.
"""

import functools
import importlib
import pkgutil
from collections.abc import Iterable
from collections.abc import Mapping
from typing import Any

from jmim.convert import family
from jmim.core import errors

TABLES = "jmim.convert.tables"


def names() -> list[str]:
  """All families in alphabetical order."""
  return list(_all())


def find(name: str) -> family.Family:
  """The family of a name.

  Raises:
    UserError: there is none; the known ones are listed.
  """
  if name not in _all():
    raise errors.UserError(
      f"--from={name}",
      "one of " + ", ".join(names()),
      "name one of these",
      "--from",
    )
  return _all()[name]


def detect(config: Mapping[str, Any]) -> str:
  """The family that a library's config.json is of; "": none is known.

  Args:
    config: of Transformers or Diffusers, or of timm (which has
      `architecture` and `num_features`).
  """
  if "architecture" in config and "num_features" in config:
    word = config["architecture"].partition("_")[0]
    return _first("timm_names", [word])
  kinds = [config.get("model_type"), config.get("_class_name")]
  return _first("architectures", config.get("architectures") or ()) or _first(
    "model_types", kinds
  )


def detectable() -> list[str]:
  """Values in a config.json by which `detect` knows a family."""
  known = _all().values()
  return sorted({t for f in known for t in (*f.architectures, *f.model_types)})


def fitting(library: str, name: str, method: Any) -> list[str]:
  """The families of a library that can hold a method; see `for_export`."""
  known = {n: f for n, f in _all().items() if f.library == library}
  return [n for n, f in known.items() if f.objection(name, method) is None]


def for_export(
  library: str, name: str, method: Any
) -> tuple[str, family.Family]:
  """The family of a library that can hold a method.

  Where several can, it is the one of highest priority.

  Args:
    library: "authors", "hf", "timm" or "big_vision".
    name: of the method, "mim.mae".
    method: its instance.

  Raises:
    UserError: none can; why, for each.
  """
  known = {n: f for n, f in _all().items() if f.library == library}
  if fit := fitting(library, name, method):
    best = max(fit, key=lambda n: known[n].priority)
    return best, known[best]
  why = {n: f.objection(name, method) for n, f in known.items()}
  near = {n: w for n, w in why.items() if name in known[n].methods}
  reasons = "; ".join(f"{n}: {w}" for n, w in (near or why).items())
  raise errors.UserError(
    f"--format={library} of {name}: {reasons}",
    "an architecture that exists there",
    "use --format=safetensors, which holds every method",
    "--format",
  )


def collect(modules: Iterable[Any]) -> dict[str, family.Family]:
  """The families of files of tables, in alphabetical order.

  Raises:
    ValueError: two files have a family of one name.
  """
  homes, known = {}, {}
  for module in modules:
    for name, entry in module.FAMILIES.items():
      if name in known:
        raise ValueError(
          f"family {name!r} is in {homes[name]} and in {module.__name__}"
        )
      homes[name], known[name] = module.__name__, entry
  return dict(sorted(known.items()))


@functools.cache
def _all() -> dict[str, family.Family]:
  """Families of all files below TABLES that have no underscore before."""
  package = importlib.import_module(TABLES)
  files = [m.name for m in pkgutil.iter_modules(package.__path__)]
  return collect(
    importlib.import_module(f"{TABLES}.{name}")
    for name in files
    if not name.startswith("_")
  )


def _first(field: str, words: Iterable[str | None]) -> str:
  """The family that names the first of the words which any names; or ""."""
  for word in words:
    for name, entry in _all().items():
      if word in getattr(entry, field):
        return name
  return ""
