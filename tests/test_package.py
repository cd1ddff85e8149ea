"""The package as a whole: requirements, imports, layers, sizes, scripts."""

import ast
import graphlib
import importlib.metadata
import json
import os
import pathlib
import re
import subprocess
import sys

import packaging.requirements
import packaging.utils
import packaging.version
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[1]
FILES = sorted((ROOT / "jmim").rglob("*.py"))
METHODS = ROOT / "jmim" / "methods"

# room -> rooms it may import beside itself. A new room needs a line here and a
# sentence in its `__init__` that says the same in words.
ARRAYS = {"diffusion", "masks", "nn"}
FILES_AND_CHIPS = {"checkpoints", "core", "cost", "parallel", "runlog"}
BELOW_SESSION = (
  FILES_AND_CHIPS
  | ARRAYS
  | {
    "data",
    "evals.lib",
    "metrics",
    "training",
  }
)
ALLOWED = {
  # The ground.
  "core": set(),
  "diffusion": set(),
  "masks": set(),
  "parallel": {"core"},
  "runlog": {"core"},
  "data": {"core"},
  "nn": {"core", "masks"},
  "metrics": {"nn"},
  "report": {"core", "runlog"},
  "cost": {"core", "parallel", "runlog"},
  "training": {"core", "cost"},
  "methods": ARRAYS | {"core"},
  "checkpoints": {"core", "nn", "parallel", "runlog"},
  "evals.lib": FILES_AND_CHIPS | {"data", "metrics", "nn", "training"},
  "evals": FILES_AND_CHIPS | {"data", "evals.lib", "metrics", "nn"},
  # They meet: method, data and evaluators, each found by name at run time.
  "session": BELOW_SESSION,
  "convert.tables": {"convert", "core", "methods", "nn"},
  "convert": BELOW_SESSION | {"session"},
  "modes": BELOW_SESSION | {"convert", "report", "session"},
  # The doors.
  "hub": BELOW_SESSION | {"convert", "session"},
  "main": {"core", "modes", "parallel", "runlog"},
  "tools": BELOW_SESSION
  | {
    "convert",
    "evals",
    "main",
    "methods",
    "modes",
    "report",
    "session",
  },
}


def name_of(path: pathlib.Path) -> str:
  """`jmim/core/errors.py` -> `jmim.core.errors`."""
  parts = path.relative_to(ROOT).with_suffix("").parts
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
  found = set()
  for node in ast.walk(ast.parse(source)):
    if isinstance(node, ast.Import):
      found |= {alias.name for alias in node.names}
    elif isinstance(node, ast.ImportFrom):
      base = "." * node.level + (node.module or "")
      full = {alias.name: f"{base}.{alias.name}" for alias in node.names}
      found |= {name if name in names else base for name in full.values()}
  return found


def room(name: str) -> str:
  """`jmim.evals.lib.base` -> `evals.lib`; `jmim.core.errors` -> `core`."""
  parts = name.split(".")[1:]
  inner = ".".join(parts[:2])
  return inner if inner in ALLOWED else parts[0]


def breaches(importer: str, imported: set[str]) -> set[str]:
  """Those of `imported` that the room of `importer` must not import."""
  own = room(importer)
  allowed = ALLOWED[own] | {own}
  inner = {name for name in imported if name.startswith("jmim.")}
  return {name for name in inner if room(name) not in allowed}


def setup_constant(name: str):
  """A literal assigned to `name` in setup.py, which is not executed."""
  for node in ast.parse((ROOT / "setup.py").read_text()).body:
    if isinstance(node, ast.Assign) and node.targets[0].id == name:
      return ast.literal_eval(node.value)
  raise KeyError(name)


def parsed(lines) -> dict[str, packaging.requirements.Requirement]:
  """Requirement strings -> {canonical name: requirement}."""
  reqs = [packaging.requirements.Requirement(line) for line in lines]
  return {packaging.utils.canonicalize_name(req.name): req for req in reqs}


REQUIRED = parsed(setup_constant("REQUIRES"))
EXTRAS = setup_constant("EXTRAS")


# Requirements.


@pytest.mark.parametrize("name", sorted(REQUIRED))
def test_requirement_has_a_lower_bound_that_is_met_here(name):
  spec = REQUIRED[name].specifier
  assert [part.operator for part in spec] == [">="]
  assert spec.contains(importlib.metadata.version(name), prereleases=True)


def test_no_other_framework_is_required():
  assert not {"tensorflow", "torch", "torchvision"} & set(REQUIRED)


def test_extras_only_ever_set_lower_bounds():
  lines = [line for extra in EXTRAS.values() for line in extra]
  operators = {p.operator for r in parsed(lines).values() for p in r.specifier}
  assert operators <= {">="}


def test_python_floor_agrees_with_the_linter():
  floor = re.search(r'python_requires=">=([\d.]+)"', read("setup.py"))[1]
  target = re.search(r'target-version = "py3(\d+)"', read("pyproject.toml"))[1]
  assert floor == f"3.{target}"


def read(path: str) -> str:
  return (ROOT / path).read_text()


def test_every_foreign_import_is_declared():
  extra = parsed(line for lines in EXTRAS.values() for line in lines)
  declared = set(REQUIRED) | set(extra)
  providers = importlib.metadata.packages_distributions()
  undeclared = {}
  for path in FILES:
    tops = {name.split(".")[0] for name in imports(path.read_text(), NAMES)}
    for top in tops - {"jmim"} - set(sys.stdlib_module_names):
      dists = map(packaging.utils.canonicalize_name, providers.get(top, [top]))
      if not declared & set(dists):
        undeclared.setdefault(top, []).append(name_of(path))
  assert not undeclared


# Importing.


def test_import_touches_no_backend_and_loads_no_heavy_package():
  # A backend started at import breaks `jax.distributed.initialize`; the
  # packages are slow to load and are needed by single evaluators only.
  code = (
    "import json, sys\n"
    "import jmim.main\n"
    "from jax._src import xla_bridge\n"
    "print(json.dumps([xla_bridge.backends_are_initialized(),\n"
    "  sorted(xla_bridge._backends), sorted(sys.modules)]))"
  )
  done = subprocess.run(
    [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True
  )
  assert done.returncode == 0, done.stderr
  started, backends, modules = json.loads(done.stdout.splitlines()[-1])
  assert not started and backends == []
  heavy = {"tensorflow", "torch", "sklearn", "matplotlib", "cv2"}
  loaded = heavy & set(modules)
  assert not loaded


def test_importing_the_package_loads_nothing():
  code = "import jmim, sys; print('jax' in sys.modules, callable(jmim.load))"
  done = subprocess.run(
    [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True
  )
  assert done.stdout == "False True\n", done.stderr


# Layers.


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_imports_point_downward(path):
  found = imports(path.read_text(), NAMES)
  if name_of(path) == "jmim":
    assert found == {"importlib"}  # inside `load`
    return
  assert not {name for name in found if name.startswith(".")}
  # A bare `import jmim` would hide what is used.
  assert "jmim" not in found
  assert not breaches(name_of(path), found)


def test_no_module_imports_itself_in_a_circle():
  graph = {
    name_of(path): imports(path.read_text(), NAMES) & NAMES for path in FILES
  }
  # Raises CycleError, which lists the modules of the circle.
  assert set(graphlib.TopologicalSorter(graph).static_order()) == NAMES


@pytest.mark.parametrize(
  "importer, source, bad",
  [
    ("jmim.nn.nets.vit", "from jmim.methods import mim", "jmim.methods"),
    ("jmim.core.state", "import jmim.methods", "jmim.methods"),
    ("jmim.tools.bench", "from jmim import main", None),
    ("jmim.modes.train", "from jmim import main", "jmim.main"),
    (
      "jmim.methods.mae",
      "from jmim.training import optim",
      "jmim.training.optim",
    ),
    (
      "jmim.diffusion.x",
      "def f():\n  import jmim.modes.train",
      "jmim.modes.train",
    ),
    ("jmim.methods.mae", "from jmim.core import method", None),
    ("jmim.evals.lib.x", "from jmim.evals import knn", "jmim.evals.knn"),
    ("jmim.evals.knn", "from jmim.evals.lib import base", None),
    (
      "jmim.convert.tables.x",
      "from jmim.session import build",
      "jmim.session.build",
    ),
  ],
)
def test_the_layer_check_sees_what_it_should(importer, source, bad):
  names = {"jmim.main", "jmim.modes.train", "jmim.evals.knn"}
  names |= {"jmim.training.optim", "jmim.core.method", "jmim.session.build"}
  names |= {"jmim.evals.lib.base"}
  assert breaches(importer, imports(source, names)) == ({bad} - {None})


def test_no_mode_imports_another():
  modes = [path for path in FILES if path.parent.name == "modes"]
  for path in modes:
    others = {n for n in imports(path.read_text(), NAMES) if "jmim.modes" in n}
    assert not others, name_of(path)


def test_every_room_says_its_law_in_a_sentence():
  for path in FILES:
    if path.name == "__init__.py" and room(name_of(path) + ".x") in ALLOWED:
      law = ast.get_docstring(ast.parse(path.read_text()))
      field = "methods" in path.parts or "builders" in path.parts
      assert law or field or "procedural" in path.parts, path


# Files.


def lines_of_code(source: str) -> int:
  """Lines that are neither empty, a comment, nor part of a docstring."""
  docs = set()
  for node in ast.walk(ast.parse(source)):
    kinds = ast.Module | ast.ClassDef | ast.FunctionDef
    if isinstance(node, kinds) and ast.get_docstring(node) is not None:
      docs |= set(range(node.body[0].lineno, node.body[0].end_lineno + 1))
  lines = enumerate(source.splitlines(), 1)
  return sum(
    bool(line.strip()) and not line.strip().startswith("#")
    for number, line in lines
    if number not in docs
  )


def test_code_is_counted_without_docstrings_and_comments():
  source = '"""A\nb."""\n\n# c\nx = """d\ne"""\ndef f():\n  """G."""\n  # h\n'
  assert lines_of_code(source + "  return x  # i\n") == 4


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_file_parses_has_no_tabs_and_is_short(path):
  lines = path.read_text().splitlines()
  ast.parse(path.read_text())
  assert not [i for i, line in enumerate(lines, 1) if re.match(r" *\t", line)]
  if METHODS in path.parents:
    assert lines_of_code(path.read_text()) <= 130
  else:
    assert len(lines) <= 300


def test_every_folder_of_modules_is_a_package():
  # find_packages silently leaves out a folder without __init__.py.
  folders = {path.parent for path in FILES}
  assert [f for f in folders if not (f / "__init__.py").is_file()] == []


# Scripts.


def test_ci_is_executable_and_parses():
  path = ROOT / ".ci" / "run"
  assert os.access(path, os.X_OK)
  subprocess.run(["bash", "-n", str(path)], check=True)
