"""Sources of jmim as text and syntax trees: what tests of form look at."""

import ast
import functools
import pathlib

ROOT = pathlib.Path(__file__).resolve().parents[1]
FILES = sorted((ROOT / "jmim").rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))
RECIPES = sorted((ROOT / "configs").rglob("*.py"))


def name_of(path: pathlib.Path, root: pathlib.Path = ROOT) -> str:
  """`jmim/core/errors.py` -> `jmim.core.errors`."""
  parts = path.relative_to(root).with_suffix("").parts
  return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


NAMES = {name_of(path) for path in FILES}


def imports(source: str, names: set[str]) -> set[str]:
  """Modules imported anywhere in `source`, also inside functions.

  Args:
    source: text of one file.
    names: known modules, which tell `from package import module` from
      `from module import function`.

  Returns:
    Dotted names; a relative import is given as it stands, with its dots.
  """
  plain, pairs = _imports(source)
  return plain | {
    name if (name := f"{base}.{last}") in names else base
    for base, last in pairs
  }


@functools.cache  # several tests ask for those of every file
def _imports(source: str) -> tuple[set[str], set[tuple[str, str]]]:
  """Modules of `import a.b`; ("a", "b") of `from a import b`."""
  plain, pairs = set(), set()
  for node in ast.walk(ast.parse(source)):
    if isinstance(node, ast.Import):
      plain |= {alias.name for alias in node.names}
    elif isinstance(node, ast.ImportFrom):
      base = "." * node.level + (node.module or "")
      pairs |= {(base, alias.name) for alias in node.names}
  return plain, pairs


def imported(path: pathlib.Path) -> set[str]:
  """Modules that a file of this checkout imports."""
  return imports(path.read_text(), NAMES)


def functions(tree: ast.AST) -> list[ast.FunctionDef]:
  """All functions and methods below a node, nested ones too."""
  kinds = ast.FunctionDef | ast.AsyncFunctionDef
  return [node for node in ast.walk(tree) if isinstance(node, kinds)]


def dotted(node: ast.expr) -> str:
  """`a.b.c` as text; "" for what is no chain of names."""
  if isinstance(node, ast.Name):
    return node.id
  if isinstance(node, ast.Attribute) and (head := dotted(node.value)):
    return f"{head}.{node.attr}"
  return ""
