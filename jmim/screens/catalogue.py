"""The screens of --list and of --help --config=NAME."""

import dataclasses
import pathlib
import textwrap

import ml_collections

from jmim.core import base_config
from jmim.core import config as configs
from jmim.core import discovery
from jmim.core import errors
from jmim.core import field
from jmim.core import recipe_path
from jmim.core import recipes

WIDTH = 80


@dataclasses.dataclass(frozen=True, kw_only=True)
class Entry:
  """A recipe in the list.

  Attributes:
    name: as --config takes it.
    method: its method or procedure, "mim.mae".
    data: its data set; "" if it reads none.
    about: what its docstring says.
  """

  name: str
  method: str
  data: str
  about: recipes.About


def entries(word: str = "") -> list[Entry]:
  """Recipes that come with jmim, sorted by name.

  Args:
    word: in the name, the method or the data of those that are wanted.
  """
  found = map(_entry, recipes.names())
  return [e for e in found if word in f"{e.name} {e.method} {e.data}"]


def _entry(name: str) -> Entry:
  config = configs.load(str(recipes.folder() / f"{name}.py"))
  return Entry(
    name=name,
    method=_model(config).type,
    data=config.data.name,
    about=recipes.about(recipes.folder() / f"{name}.py"),
  )


def listing(word: str = "") -> str:
  """The screen of --list: four lines a recipe.

  Args:
    word: as for `entries`.

  Raises:
    UserError: no recipe has the word.
  """
  found = entries(word)
  if not found:
    raise errors.UserError(
      f"--list={word}: no recipe",
      "a part of the name of a recipe, its method or its data",
      "--list shows all",
      "--list",
    )
  return "\n".join(map(_lines, found))


def _lines(entry: Entry) -> str:
  about = entry.about
  on = f" on {entry.data}" if entry.data else ""
  rows = [
    about.title,
    f"{entry.method}{on}; {about.size}; time: {about.time}",
    f"expect: {about.expect}",
  ]
  fold = lambda row: textwrap.fill(
    row, WIDTH, initial_indent="    ", subsequent_indent="      "
  )
  return "\n".join([entry.name, *map(fold, rows)])


def recipe(spec: str) -> str:
  """The screen of --help --config=NAME: its arguments and keys.

  Args:
    spec: as --config takes it.

  Raises:
    UserError: there is no such recipe, or its method does not exist.
  """
  path, _ = recipe_path.find(spec)
  about, config = recipes.about(pathlib.Path(path)), configs.load(spec)
  blocks = [about.doc]
  if about.arguments:
    lines = [f"  {k}={v}" for k, v in about.arguments.items()]
    blocks.append(
      "\n".join([f"Arguments (--config={spec}:NAME=VALUE):", *lines])
    )
  kind = "procedure" if "procedure" in config else "method"
  blocks.append(_keys(kind, config[kind], kind))
  blocks += [
    _keys(f"evals.{name}", section, "evals")
    for name, section in config.evals.items()
  ]
  blocks.append(_set(config))
  return "\n\n".join(blocks)


def _model(config: ml_collections.ConfigDict) -> ml_collections.ConfigDict:
  """The section of the method or procedure."""
  return config.procedure if "procedure" in config else config.method


def _keys(path: str, section: ml_collections.ConfigDict, kind: str) -> str:
  """All keys of a section whose class documents them.

  Those that the recipe does not set have the default of the class.
  """
  try:
    cls = discovery.FIND[kind](section.type)
  except KeyError:
    raise errors.UserError(
      f"{path}.type={section.type!r}",
      "a module of jmim, or one that can be imported from here",
      "correct it, or start in the folder of that module",
      f"{path}.type",
    ) from None
  ours = configs.flat(section)
  lines = [
    _line(f"--config.{path}.{key}", ours.get(key, known.default), known)
    for key, known in field.documented(cls).items()
  ]
  return "\n".join([f"Keys of {path} ({section.type}):", *lines])


def _set(config: ml_collections.ConfigDict) -> str:
  """Keys of every run that the recipe sets to something of its own."""
  values = configs.flat(config)
  lines = [
    _line(f"--config.{key}", values[key], known)
    for key, known in base_config.keys(config).items()
    if values.get(key, known.default) != known.default
    and not key.endswith(".type")
  ]
  return "\n".join(["Other keys that it sets:", *lines])


def _line(name: str, value: object, known: dataclasses.Field) -> str:
  """A key with its value, and its documentation below."""
  words = textwrap.fill(
    known.metadata["doc"],
    WIDTH,
    initial_indent=6 * " ",
    subsequent_indent=6 * " ",
  )
  shown = value if isinstance(value, str) and value else repr(value)
  return f"  {name}={shown}\n{words}"
