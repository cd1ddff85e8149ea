"""The recipes that come with jmim: where they are, and what they say.

A recipe is found by its name from any folder. In a checkout the files are in
`configs/` beside the package, in an installed package in `recipes/` inside it.

The last lines of a recipe's docstring have one form, which a test holds:

    Size: 0.3 M parameters.
    Time: 4 minutes on two CPU cores.
    Expect: probe 49.1 % (untrained 34.0 %).
"""

import ast
import dataclasses
import functools
import pathlib
import re

_PACKAGE = pathlib.Path(__file__).resolve().parents[1]
FACTS = ("Size", "Time", "Expect")


@dataclasses.dataclass(frozen=True, kw_only=True)
class About:
  """What the docstring of a recipe says.

  Attributes:
    doc: all of it.
    title: its first line, without the full stop.
    size: parameters that it trains.
    time: how long it takes, on what.
    expect: figures to be expected.
    arguments: name -> default, as written, of --config=NAME:name=value.
  """

  doc: str
  title: str
  size: str
  time: str
  expect: str
  arguments: dict[str, str]


def folder(package: pathlib.Path = _PACKAGE) -> pathlib.Path:
  """Where the recipes are.

  Args:
    package: the folder of the package jmim.
  """
  inside = package / "recipes"
  return inside if inside.is_dir() else package.parent / "configs"


def names() -> list[str]:
  """All of them, sorted."""
  return sorted(path.stem for path in folder().glob("*.py"))


def path(name: str) -> pathlib.Path | None:
  """The file of the recipe "mae_digits", or None: there is none."""
  return folder() / f"{name}.py" if name in names() else None


def about(file: pathlib.Path) -> About:
  """What a recipe's file says; nothing of it is run.

  Facts that its docstring does not have are empty.

  Args:
    file: of the recipe.
  """
  tree = ast.parse(file.read_text(encoding="utf-8"))
  doc = ast.get_docstring(tree) or ""
  fact = functools.partial(_fact, doc)
  return About(
    doc=doc,
    title=doc.partition("\n")[0].rstrip("."),
    size=fact("Size"),
    time=fact("Time"),
    expect=fact("Expect"),
    arguments=_arguments(tree),
  )


def _fact(doc: str, name: str) -> str:
  """The text behind "Name:", up to the next fact or paragraph, on one line."""
  ends = "|".join(FACTS)
  found = re.search(
    rf"^{name}: (.*?)(?=\n\n|\n(?:{ends}): |\Z)", doc, re.DOTALL | re.MULTILINE
  )
  return " ".join(found[1].split()).rstrip(".") if found else ""


def _arguments(tree: ast.Module) -> dict[str, str]:
  """Keywords of the call of `configs.parse_arg`."""
  calls = [
    node
    for node in ast.walk(tree)
    if isinstance(node, ast.Call)
    and isinstance(node.func, ast.Attribute)
    and node.func.attr == "parse_arg"
  ]
  return {
    word.arg: ast.unparse(word.value)
    for call in calls
    for word in call.keywords
    if word.arg
  }
