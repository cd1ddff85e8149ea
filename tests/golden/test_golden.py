"""Every golden case against its adapter.

A golden directory holds <slug>/<case>.npz and .json, computed by the authors'
own code. tests/golden/<slug>.py is the adapter of a slug: `run(case)` returns
{out name: array}, `SKIPPED` gives a reason for each out name it leaves.
tests/goldens.py says how near is equal.
"""

import pathlib

import golden_kit
import goldens
import pytest

HERE = pathlib.Path(__file__).parent


def adapter(slug: str):
  path = HERE / f"{slug}.py"
  if not path.exists():
    return None
  return golden_kit.adapter(slug)


def pytest_generate_tests(metafunc):
  if "golden" not in metafunc.fixturenames:
    return
  root = pathlib.Path(metafunc.config.getoption("--golden-dir"))
  cases = goldens.find(root)
  missing = pytest.mark.skip(reason=f"no golden files in {root}")
  metafunc.parametrize(
    "golden",
    cases or [pytest.param(None, marks=missing)],
    ids=[f"{c.parent.name}-{c.stem}" for c in cases] or ["none"],
  )


def test_golden(golden):
  module = adapter(golden.parent.name)
  if module is None:
    pytest.skip(f"no adapter yet for {golden.parent.name}")
  case = goldens.load(golden)
  if not goldens.compare(case, module):
    pytest.skip("; ".join(sorted({module.SKIPPED[n] for n in case.outputs})))


def test_tolerances_are_understood(golden):
  """Of cases without an adapter, too."""
  case = goldens.load(golden)
  given = goldens.tolerances(case.info, case.outputs)
  for name, reference in case.outputs.items():
    if reference.dtype.kind == "f":
      assert goldens.allowed(given, name, reference) < float("inf")
