"""Every golden case against its adapter.

A golden directory holds <slug>/<case>.npz and .json, computed by the authors'
own code. tests/golden/<slug>.py is the adapter of a slug: `run(case)` returns
{out name: array}, `SKIPPED` gives a reason for each out name it leaves.
"""

import dataclasses
import importlib.util
import json
import pathlib
import re
from typing import Any

import numpy as np
import pytest

HERE = pathlib.Path(__file__).parent
# Share of elements that may be outside the tolerance. Adam's first step is
# lr * sign(g): where g is nearly 0 the sign is rounding noise.
OUTLIERS = {"updated": 0.01}


@dataclasses.dataclass(frozen=True)
class Case:
  """One golden case: the JSON and the arrays, without their prefixes."""

  path: pathlib.Path
  info: dict[str, Any]
  inputs: dict[str, np.ndarray]
  outputs: dict[str, np.ndarray]
  params: dict[str, np.ndarray]

  @property
  def config(self) -> dict[str, Any]:
    return self.info["config"]


def load(path: pathlib.Path) -> Case:
  with np.load(path, allow_pickle=False) as stored:
    arrays = {name: stored[name] for name in stored.files}

  def part(prefix):
    return {
      name.removeprefix(prefix): value
      for name, value in arrays.items()
      if name.startswith(prefix)
    }

  info = json.loads(path.with_suffix(".json").read_text())
  return Case(path, info, part("in/"), part("out/"), part("param/"))


def find(root: pathlib.Path) -> list[pathlib.Path]:
  """All cases below `root`, which may itself be the folder of one slug."""
  return sorted([*root.glob("*.npz"), *root.glob("*/*.npz")])


def adapter(slug: str):
  path = HERE / f"{slug}.py"
  if not path.exists():
    return None
  spec = importlib.util.spec_from_file_location(f"golden_{slug}", path)
  module = importlib.util.module_from_spec(spec)
  spec.loader.exec_module(module)
  return module


def tolerance(info: dict[str, Any], name: str, reference: np.ndarray) -> float:
  """Largest absolute difference allowed for one output.

  The case's own entries first ("<name>_abs", "<name>_rel", for `name` or its
  first component), then "grad_rel" for gradients, then "default_abs" (or the
  case's "tolerance_abs", where it gives that alone). Relative ones are relative
  to the largest value of the array.
  """
  given = info.get("tolerance", {})
  scale = float(np.abs(reference).max()) if reference.size else 0.0
  for stem in (name, name.split("/")[0]):
    if f"{stem}_abs" in given:
      return given[f"{stem}_abs"]
    if f"{stem}_rel" in given:
      return given[f"{stem}_rel"] * scale
  if name.startswith("grad"):
    return given.get("grad_rel", 1e-3) * scale
  return given.get("default_abs", info.get("tolerance_abs", 1e-4))


def sampling_tolerance(info: dict[str, Any]) -> float | None:
  """What a case's notes allow for the states of its samplers."""
  found = re.search(r"Sampling tolerance ([\d.e-]*\d)", str(info.get("notes")))
  return float(found[1]) if found else None


def check(case: Case, name: str, got: Any, sampled: bool = False) -> None:
  want, got = case.outputs[name], np.asarray(got)
  assert got.shape == want.shape, f"{name}: {got.shape} for {want.shape}"
  if np.issubdtype(want.dtype, np.integer):
    assert np.array_equal(got, want), f"{name}: {(got != want).sum()} differ"
    return
  allowed = tolerance(case.info, name, want)
  if sampled:
    allowed = sampling_tolerance(case.info) or allowed
  error = np.abs(got.astype(np.float64) - want.astype(np.float64))
  share = OUTLIERS.get(name.split("/")[0], 0.0)
  assert np.mean(~(error <= allowed)) <= share, (
    f"{name}: off by {error.max():.3g}, allowed {allowed:.3g}"
  )


def pytest_generate_tests(metafunc):
  if "golden" not in metafunc.fixturenames:
    return
  root = pathlib.Path(metafunc.config.getoption("--golden-dir"))
  cases = find(root)
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
  case = load(golden)
  got = module.run(case)
  unknown = set(got) - set(case.outputs)
  assert not unknown, f"adapter returns what the case lacks: {unknown}"
  for name in case.outputs:
    if name in got:
      sampled = name.startswith(getattr(module, "SAMPLED", ()))
      check(case, name, got[name], sampled)
    else:
      assert name in module.SKIPPED, f"{name}: not returned, not in SKIPPED"
      assert module.SKIPPED[name], f"{name}: SKIPPED needs a reason"
  if not got:
    pytest.skip("; ".join(sorted({module.SKIPPED[n] for n in case.outputs})))
