"""The package: what it requires, what importing it does, its scripts."""

import ast
import importlib.metadata
import json
import os
import re
import subprocess
import sys

import packaging.requirements
import packaging.utils
import packaging.version
import pytest
import sources

ROOT = sources.ROOT


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
  for path in sources.FILES:
    tops = {
      name.split(".")[0]
      for name in sources.imports(path.read_text(), sources.NAMES)
    }
    for top in tops - {"jmim"} - set(sys.stdlib_module_names):
      dists = map(packaging.utils.canonicalize_name, providers.get(top, [top]))
      if not declared & set(dists):
        undeclared.setdefault(top, []).append(sources.name_of(path))
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


def test_every_folder_of_modules_is_a_package():
  # find_packages silently leaves out a folder without __init__.py.
  folders = {path.parent for path in sources.FILES}
  assert [f for f in folders if not (f / "__init__.py").is_file()] == []


# Scripts.


def test_ci_is_executable_and_parses():
  path = ROOT / ".ci" / "run"
  assert os.access(path, os.X_OK)
  subprocess.run(["bash", "-n", str(path)], check=True)


def test_the_page_of_dependencies_has_each_with_its_bound():
  page = (ROOT / "docs" / "dependencies.md").read_text()
  rows = dict(
    re.findall(r"^\| ([\w.\-]+(?:\[\w+\])?) \| (\d[\d.]*) \|", page, re.M)
  )
  found = parsed(f"{name}>={floor}" for name, floor in rows.items())
  floor = lambda req: next(iter(req.specifier)).version
  assert found.keys() == REQUIRED.keys()
  for name, requirement in REQUIRED.items():
    assert floor(requirement).startswith(floor(found[name])), name
  extras = set(
    re.findall(r"`(\w+)`", page.partition("| extra |")[2].partition("##")[0])
  )
  assert set(EXTRAS) <= extras
