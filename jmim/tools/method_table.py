"""The table of methods in README.md, from what exists.

    python -m jmim.tools.method_table           prints it
    python -m jmim.tools.method_table --write   puts it between the markers

A mark says that a file is there and that the test suite runs it:

    golden   tests/golden/<slug>.py runs the method, by an import or (ALSO) as a
             part of another: what its docstring lists is compared with numbers
             of the authors' code
    claim    configs/claims/<slug>.py: trains and checks what the paper claims;
             the slug is the method's name, or named in its docstring's command
    small    recipes that run on a laptop; large: those at published size
"""

import argparse
import ast
import pathlib
import re
import sys
from collections.abc import Iterable
from collections.abc import Sequence

from jmim.core import config as configs
from jmim.core import discovery

ROOT = pathlib.Path(__file__).resolve().parents[2]
METHODS = ROOT / "jmim" / "methods"
BEGIN, END = "<!-- methods:begin -->", "<!-- methods:end -->"
HEAD = "| method | file | golden | claim | small recipes | large recipes |"
# In the names of recipes.
LARGE = re.compile(
  r"imagenet|_images|k400|laion|df2k|gopro|shapenet|coco|openwebtext|celeba|"
  r"published|afhq|ffhq|h36m"
)


def recipes() -> dict[str, list[str]]:
  """Name of a method or procedure -> names of its recipes, by any stage."""
  by_method: dict[str, list[str]] = {}
  for path in sorted((ROOT / "configs").glob("*.py")):
    doc = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    stages = [f"{path}:stage={stage}" for stage in named_stages(doc, path.stem)]
    loaded = map(configs.load, [str(path), *stages])
    types = [(c.get("method") or c.procedure).type for c in loaded]
    for name in dict.fromkeys(types):
      by_method.setdefault(name, []).append(path.stem)
  return by_method


def named_stages(doc: str, stem: str) -> list[str]:
  """Values of `stage=` in the commands of a recipe's docstring.

  Args:
    doc: its docstring.
    stem: its name; a command of another recipe says nothing of it.
  """
  found = re.findall(r"([$\w]+)(?:\.py)?[:,](?:\S+,)?stage=(\w+)", doc)
  return [x for name, x in found if name == stem or name.startswith("$")]


def goldens() -> set[str]:
  """Methods that a golden adapter runs."""
  paths = (ROOT / "tests" / "golden").glob("*.py")
  trees = [
    ast.parse(p.read_text(encoding="utf-8"))
    for p in paths
    if not p.name.startswith("test_")
  ]
  return set().union(*map(_methods, trees))


def _methods(tree: ast.Module) -> set[str]:
  """Methods that a file imports, or says that it runs.

  from jmim.methods.mim import mae
  ALSO = ("mim.simmim",)
  """
  prefix = "jmim.methods."
  also = {
    name
    for node in tree.body
    if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "ALSO"
    for name in ast.literal_eval(node.value)
  }
  return also | {
    f"{node.module.removeprefix(prefix)}.{alias.name}"
    for node in ast.walk(tree)
    if isinstance(node, ast.ImportFrom)
    and (node.module or "").startswith(prefix)
    for alias in node.names
  }


def rows() -> list[str]:
  """One line of Markdown per method and procedure."""
  known, compared, lines = recipes(), goldens(), []
  for name in sorted([*discovery.names(), *discovery.procedures()]):
    path = METHODS / f"{name.replace('.', '/')}.py"
    doc = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or name
    names = known.get(name, [])
    lines.append(
      _row(
        title(doc),
        f"[{name}]({path.relative_to(ROOT).as_posix()})",
        f"✓ {listed(doc)}" if name in compared else "",
        " ".join(f"✓ `{slug}`" for slug in claims(path.stem, doc)),
        _list(r for r in names if not LARGE.search(r)),
        _list(r for r in names if LARGE.search(r)),
      )
    )
  return lines


def claims(stem: str, doc: str) -> list[str]:
  """Slugs of its claims: the name of its file, or in its docstring."""
  named = re.findall(r"jmim\.tools\.claim (\w+)", doc)
  folder = ROOT / "configs" / "claims"
  return sorted(s for s in {stem, *named} if (folder / f"{s}.py").exists())


def title(doc: str) -> str:
  """What a docstring begins with, and the paper: MAE: ... (He et al. 2022)."""
  first, _, rest = doc.partition("\n")
  paper = re.match(r"([^.;]*?(?: et al\.)?[^.;]*?)\b(\d{4})", rest.strip())
  if not paper:
    return first.rstrip(".")
  who, *others = paper[1].split(",")
  who = who.strip()
  if others and not re.search(r" and | et al\.", who):
    who += " et al."
  return f"{first.rstrip('.')} ({who} {paper[2]})"


def listed(doc: str) -> str:
  """What a docstring says that `tests/golden` compares."""
  text = " ".join(doc.split())
  match = re.search(
    r"`tests/golden`(?: of `[\w.]+`)? compares (.*?)"
    r"(?:[.;:]|,? with (?:those of )?the authors)",
    text,
  )
  return match[1] if match else ""


def _list(names: Iterable[str]) -> str:
  return ", ".join(f"`{name}`" for name in names)


def _row(*cells: str) -> str:
  return "| " + " | ".join(cell or "–" for cell in cells) + " |"


def table() -> str:
  """The whole table, with its markers."""
  rule = "|" + "---|" * (HEAD.count("|") - 1)
  return "\n".join([BEGIN, HEAD, rule, *rows(), END])


def put(text: str) -> str:
  """The text of README.md with today's table in it."""
  start, stop = text.index(BEGIN), text.index(END) + len(END)
  return text[:start] + table() + text[stop:]


def main(argv: Sequence[str] | None = None) -> int:
  """Command line; returns the exit code."""
  parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
  parser.add_argument("--write", action="store_true", help="into README.md")
  if parser.parse_args(argv).write:
    path = ROOT / "README.md"
    text = put(path.read_text(encoding="utf-8"))
    path.write_text(text, encoding="utf-8")
  else:
    print(table())
  return 0


if __name__ == "__main__":
  sys.exit(main())
