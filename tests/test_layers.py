"""Rooms: who may import whom, and what each says it is for."""

import ast
import graphlib

import pytest
import sources

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
  "evals": FILES_AND_CHIPS
  | {"data", "diffusion", "evals.lib", "metrics", "nn"},
  # They meet: method, data and evaluators, each found by name at run time.
  "session": BELOW_SESSION,
  "convert.tables": {"convert", "core", "methods", "nn"},
  "convert": BELOW_SESSION | {"session"},
  "modes": BELOW_SESSION | {"convert", "report", "session"},
  # The doors.
  "hub": BELOW_SESSION | {"convert", "session"},
  "running": {"core", "hub", "modes", "parallel", "runlog", "session"},
  "screens": {"core", "modes"},
  "main": {"core", "modes", "parallel", "runlog", "screens"},
  "tools": BELOW_SESSION
  | {
    "convert",
    "evals",
    "main",
    "methods",
    "modes",
    "report",
    "screens",
    "session",
  },
}


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


@pytest.mark.parametrize("path", sources.FILES, ids=sources.name_of)
def test_imports_point_downward(path):
  found = sources.imported(path)
  if sources.name_of(path) == "jmim":
    assert found == {"importlib"}  # inside `load`
    return
  assert not {name for name in found if name.startswith(".")}
  # A bare `import jmim` would hide what is used.
  assert "jmim" not in found
  assert not breaches(sources.name_of(path), found)


def test_no_module_imports_itself_in_a_circle():
  graph = {
    sources.name_of(path): sources.imported(path) & sources.NAMES
    for path in sources.FILES
  }
  # Raises CycleError, which lists the modules of the circle.
  assert set(graphlib.TopologicalSorter(graph).static_order()) == sources.NAMES


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
  assert breaches(importer, sources.imports(source, names)) == ({bad} - {None})


def test_no_mode_imports_another():
  for path in sources.FILES:
    if path.parent.name == "modes":
      others = {n for n in sources.imported(path) if "jmim.modes" in n}
      assert not others, sources.name_of(path)


def test_every_room_says_its_law_in_a_sentence():
  for path in sources.FILES:
    name = sources.name_of(path)
    if path.name == "__init__.py" and room(name + ".x") in ALLOWED:
      law = ast.get_docstring(ast.parse(path.read_text()))
      field = {"methods", "builders", "procedural"} & set(path.parts)
      assert law or field, path
