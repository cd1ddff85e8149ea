"""What recipes say of themselves: their sizes, and the page of all of them.

    python -m jmim.tools.recipe_table           prints docs/recipes.md
    python -m jmim.tools.recipe_table --write   writes it
    python -m jmim.tools.recipe_table --sizes [NAME ...]

The last counts the parameters of recipes (of all, without a name; minutes) and
writes them behind "Size:" in their docstrings. See `core.recipes`.
"""

import argparse
import pathlib
import re
import sys
from collections.abc import Sequence

import jax

from jmim.core import config as configs
from jmim.core import discovery
from jmim.core import recipes
from jmim.screens import catalogue
from jmim.session import assemble

PAGE = pathlib.Path(__file__).resolve().parents[2] / "docs" / "recipes.md"
TOP = """\
# Recipes

What `jmim --list` shows, and `jmim --help --config=NAME` in detail. Sizes are
counted: what is trained, for the arguments a recipe has by itself. Times and
figures are those of its docstring; "not measured" says that nobody has run it
to its end here. Made by `python -m jmim.tools.recipe_table --write`.

| recipe | method | data | parameters | time | what to expect |
|---|---|---|---|---|---|
"""


def size(name: str) -> str:
  """What a recipe trains, in words: "0.21 M parameters"."""
  config = configs.load(name)
  if "procedure" in config:
    return "trains nothing"
  method = discovery.make(config.method)
  shapes = assemble.trace_parameters(method, config.data.batch)
  total = sum(leaf.size for leaf in jax.tree.leaves(shapes))
  if total < 10_000:
    return f"{total} parameters"
  if total < 999.5e6:
    return f"{total / 1e6:.3g} M parameters"
  return f"{total / 1e9:.3g} G parameters"


def put_size(path: pathlib.Path, words: str) -> None:
  """Writes a size into the docstring of a recipe.

  Args:
    path: its file.
    words: as `size` has them.
  """
  text = path.read_text(encoding="utf-8")
  text = re.sub(r"(?m)^Size: .*$", f"Size: {words}.", text, count=1)
  path.write_text(text, encoding="utf-8")


def page() -> str:
  """docs/recipes.md, as it should be today."""
  return TOP + "\n".join(map(_row, catalogue.entries())) + "\n"


def _row(entry: catalogue.Entry) -> str:
  about = entry.about
  cells = (
    f"`{entry.name}`",
    f"`{entry.method}`",
    f"`{entry.data}`" if entry.data else "–",
    about.size.removesuffix(" parameters"),
    about.time,
    about.expect,
  )
  return "| " + " | ".join(cells) + " |"


def main(argv: Sequence[str] | None = None) -> int:
  """Command line; returns the exit code."""
  parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
  parser.add_argument("--write", action="store_true", help="write the page")
  parser.add_argument(
    "--sizes", nargs="*", metavar="NAME", help="count parameters"
  )
  args = parser.parse_args(argv)
  if args.sizes is not None:
    for name in args.sizes or recipes.names():
      put_size(recipes.folder() / f"{name}.py", size(name))
  elif args.write:
    PAGE.write_text(page(), encoding="utf-8")
  else:
    print(page(), end="")
  return 0


if __name__ == "__main__":
  sys.exit(main())
