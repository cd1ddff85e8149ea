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

# layer -> what it may import: whole layers, or single modules of one. A new
# layer needs a line here. Nobody imports `main`.
MODEL = {"core.errors", "nn", "diffusion"}
SHARED = {"core", "data", "nn", "diffusion", "convert", "metrics", "evals"}
ALLOWED = {
  "nn": {"core.errors", "nn"},
  # Arrays and numbers only: it knows no network.
  "diffusion": {"core.errors", "diffusion"},
  # Mixing a batch is part of a supervised loss: its draws decide the targets.
  "methods": MODEL | {"core.method", "data.mix", "methods"},
  # Methods are found by name at run time; no file of the core names one.
  "core": {"core", "nn"},
  "data": {"core", "data"},
  "convert": {"core", "nn", "methods", "convert"},
  # The command line of that folder.
  "convert.__main__": {"core", "convert", "importing"},
  "importing": SHARED | {"build", "assemble"},
  "exporting": SHARED | {"build"},
  "hub": SHARED | {"build", "importing", "exporting"},
  "metrics": {"core.errors", "nn.lpips", "metrics"},
  "evals": SHARED,
  "build": SHARED,
  "checks": SHARED,
  "assemble": SHARED | {"build", "checks"},
  # It reads workdirs, and knows nothing else of a run.
  "report": {"core", "report"},
  "notes": SHARED | {"assemble"},
  "run": SHARED | {"assemble", "notes"},
  "describe": SHARED | {"build", "checks"},
  "replay": SHARED | {"run"},
  "train": SHARED | {"assemble", "run", "replay", "train", "report"},
  "tools": SHARED
  | {"build", "checks", "assemble", "dry_run", "train", "methods", "tools"},
  # The program itself, with a clock that takes notes.
  "tools.crash_child": SHARED | {"main"},
  "sample": SHARED | {"train"},
  "dry_run": SHARED | {"assemble", "checks"},
  "usage": {"core"},
  "main": SHARED | {"assemble", "train", "tools", "usage"},
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


def layer(name: str) -> str:
  """`jmim.core.errors` -> `core`."""
  return name.split(".")[1]


def breaches(importer: str, imported: set[str]) -> set[str]:
  """Those of `imported` that the layer of `importer` must not import."""
  own = importer.removeprefix("jmim.")
  allowed = ALLOWED.get(own, ALLOWED[layer(importer)])
  inner = {name for name in imported if name.startswith("jmim.")}
  return {
    name
    for name in inner
    if layer(name) not in allowed and name.removeprefix("jmim.") not in allowed
  }


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
    ("jmim.nn.vit", "from jmim.methods.mim import mae", "jmim.methods.mim"),
    ("jmim.core.state", "import jmim.methods", "jmim.methods"),
    ("jmim.tools.bench", "from jmim import main", "jmim.main"),
    ("jmim.methods.mae", "from jmim.core import optim", "jmim.core.optim"),
    ("jmim.diffusion.x", "def f():\n  import jmim.train", "jmim.train"),
    ("jmim.methods.mae", "from jmim.core import method", None),
    ("jmim.train", "from jmim.evals import knn", None),
    ("jmim.convert.x", "from jmim import importing", "jmim.importing"),
    ("jmim.convert.__main__", "from jmim import importing", None),
  ],
)
def test_the_layer_check_sees_what_it_should(importer, source, bad):
  names = {"jmim.main", "jmim.train", "jmim.evals.knn", "jmim.importing"}
  names |= {"jmim.core.optim", "jmim.core.method"}
  assert breaches(importer, imports(source, names)) == ({bad} - {None})


# Files.


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_file_parses_has_no_tabs_and_is_short(path):
  lines = path.read_text().splitlines()
  ast.parse(path.read_text())
  assert not [i for i, line in enumerate(lines, 1) if re.match(r" *\t", line)]
  assert len(lines) <= (200 if METHODS in path.parents else 300)


def test_every_folder_of_modules_is_a_package():
  # find_packages silently leaves out a folder without __init__.py.
  folders = {path.parent for path in FILES}
  assert [f for f in folders if not (f / "__init__.py").is_file()] == []


# Scripts.


def test_ci_is_executable_and_parses():
  path = ROOT / ".ci" / "run"
  assert os.access(path, os.X_OK)
  subprocess.run(["bash", "-n", str(path)], check=True)


def local(tmp_path, *args, **env) -> tuple[subprocess.Popen, list[str], str]:
  """Runs launch/local.sh from `tmp_path` with a `python` that only reports.

  Returns:
    The finished process, the lines of its output, its standard error.
  """
  fake = tmp_path / "python"
  fake.write_text(
    "#!/bin/sh\n"
    'printf "%s\\n" "$$" "$XLA_FLAGS" "$JAX_PLATFORMS" "$PYTHONPATH" "$@"\n'
  )
  fake.chmod(0o755)
  (tmp_path / "a b.py").touch()
  process = subprocess.Popen(
    [str(ROOT / "launch" / "local.sh"), *args],
    cwd=tmp_path,
    env={"PATH": f"{tmp_path}:{os.environ['PATH']}", **env},
    stdout=subprocess.PIPE,
    stderr=subprocess.PIPE,
    text=True,
  )
  out, err = process.communicate()
  return process, out.splitlines(), err


def test_local_passes_everything_on_and_becomes_python(tmp_path):
  flags = ["--config.seed=1", "--x=y z"]
  env = {"JMIM_CPU_DEVICES": "8", "XLA_FLAGS": "--other"}
  process, out, err = local(tmp_path, "a b.py:tiny", "run dir", *flags, **env)
  assert process.returncode == 0, err
  xla = "--other --xla_force_host_platform_device_count=8"
  # The same process id: a signal to the script is a signal to python.
  assert out[:4] == [str(process.pid), xla, "cpu", str(ROOT)]
  asked = ["--config=a b.py:tiny", "--workdir=run dir"]
  assert out[4:] == ["-m", "jmim.main", *asked, *flags]


def test_local_leaves_the_devices_alone_unless_asked(tmp_path):
  _, out, _ = local(tmp_path, "a b.py", "out")
  assert out[1:3] == ["", ""]


@pytest.mark.parametrize(
  "args, env",
  [
    ([], {}),
    (["a b.py"], {}),
    (["--mode=eval", "a b.py"], {}),
    (["missing.py", "out"], {}),
    (["a b.py", "out"], {"JMIM_CPU_DEVICES": "many"}),
  ],
)
def test_local_called_wrongly_shows_its_usage(tmp_path, args, env):
  process, out, err = local(tmp_path, *args, **env)
  assert (process.returncode, out) == (2, [])
  assert "usage: launch/local.sh CONFIG WORKDIR [flags...]" in err
