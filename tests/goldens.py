"""Golden cases: what the authors' code computed, and how near is equal.

The key `tolerance` of a case's JSON says it, output by output:

    <name>_abs       largest absolute difference
    <name>_rel       the same, as a share of the largest value of the reference
    <name>_outliers  share of the elements that may be outside
    <name>_floor     only elements whose reference is above it are compared
    grad_rel         as <name>_rel, of all outputs that begin with "grad"
    default_abs      of outputs for which nothing above speaks; plus
    relative         this share of the largest value
    note             for people

Where nothing is said of an output itself, and what is left is finer than
float32 is at its largest value, it is ROUNDING times that value: tokens that an
untrained network samples reach 1e5.

<name> is an output or its first component ("grad" of "grad/x"). Integers are
equal. Any other key is an error: a misspelt tolerance would be a wider one.
"""

import dataclasses
import json
import pathlib
from collections.abc import Mapping
from typing import Any

import numpy as np

GENERAL = {"grad_rel": 1e-3, "default_abs": 1e-4, "relative": 0.0}
KINDS = ("abs", "rel", "outliers", "floor")
FINEST = 2.0**-24  # rounding of one float32 number, as a share of it
ROUNDING = 256 * FINEST  # of a chain of operations
# Older forms, beside `tolerance`: the default; and a sentence, for people.
OLDER = ("tolerance_abs", "tolerance_text")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Case:
  """One golden case: the JSON and the arrays, without their prefixes."""

  path: pathlib.Path
  info: dict[str, Any]
  inputs: dict[str, np.ndarray]
  outputs: dict[str, np.ndarray]
  params: dict[str, np.ndarray]

  @property
  def config(self) -> dict[str, Any]:
    """Of the authors' model."""
    return self.info["config"]


def load(path: pathlib.Path) -> Case:
  """The case of an .npz and the .json beside it."""
  with np.load(path, allow_pickle=False) as stored:
    arrays = {name: stored[name] for name in stored.files}

  def part(prefix):
    return {
      name.removeprefix(prefix): value
      for name, value in arrays.items()
      if name.startswith(prefix)
    }

  return Case(
    path=path,
    info=json.loads(path.with_suffix(".json").read_text()),
    inputs=part("in/"),
    outputs=part("out/"),
    params=part("param/"),
  )


def find(root: pathlib.Path) -> list[pathlib.Path]:
  """All cases below `root`, which may itself be the folder of one slug."""
  return sorted([*root.glob("*.npz"), *root.glob("*/*.npz")])


def tolerances(
  info: Mapping[str, Any], outputs: Mapping[str, Any]
) -> dict[str, float]:
  """The tolerances of a case, checked, `note` apart.

  Args:
    info: its JSON.
    outputs: by name.

  Raises:
    ValueError: a key that is no tolerance of these outputs, a value that is
      no number, or an older form that says something else.
  """
  given = {k: v for k, v in info.get("tolerance", {}).items() if k != "note"}
  names = set(outputs) | {name.partition("/")[0] for name in outputs}
  for key, value in given.items():
    stem, _, kind = key.rpartition("_")
    if key not in GENERAL and (kind not in KINDS or stem not in names):
      raise ValueError(
        f"tolerance {key!r} is none of {[*GENERAL]} and no output with "
        f"{' or '.join('_' + kind for kind in KINDS)}; outputs: {sorted(names)}"
      )
    if type(value) not in (int, float) or not (value >= 0 or kind == "floor"):
      raise ValueError(f"tolerance {key!r} is {value!r}")
  return given | _older(info, given)


def _older(info, given) -> dict[str, float]:
  """What the older forms add."""
  for key in info:
    if key.startswith("tolerance_") and key not in OLDER:
      raise ValueError(f"{key!r} is no form of a tolerance")
  if "tolerance_text" in info and "tolerance" not in info:
    raise ValueError(f"a sentence only: {info['tolerance_text']!r}")
  if "tolerance_abs" not in info:
    return {}
  value = info["tolerance_abs"]
  if given.get("default_abs", value) != value:
    raise ValueError(
      f"tolerance_abs {value} and default_abs {given['default_abs']}"
    )
  return {"default_abs": value}


def allowed(
  given: Mapping[str, float], name: str, reference: np.ndarray
) -> float:
  """Largest absolute difference of one output.

  Args:
    given: as `tolerances` returns them.
    name: of the output.
    reference: what the authors' code computed.
  """
  finite = np.abs(reference[np.isfinite(reference)]).astype(np.float64)
  scale = float(finite.max()) if finite.size else 0.0
  for stem in (name, name.partition("/")[0]):
    if f"{stem}_abs" in given:
      return given[f"{stem}_abs"]
    if f"{stem}_rel" in given:
      return given[f"{stem}_rel"] * scale
  given = GENERAL | given
  if name.startswith("grad"):
    return given["grad_rel"] * scale
  limit = given["default_abs"] + given["relative"] * scale
  return limit if limit >= FINEST * scale else ROUNDING * scale


def check(case: Case, name: str, got: Any) -> None:
  """Raises AssertionError where an output is not that of the authors' code."""
  expected, got = case.outputs[name], np.asarray(got)
  assert got.shape == expected.shape, f"{name}: {got.shape}, {expected.shape}"
  if expected.dtype.kind in "iub":
    assert np.array_equal(got, expected), (
      f"{name}: {(got != expected).sum()} differ"
    )
    return
  given = tolerances(case.info, case.outputs)
  limit = allowed(given, name, expected)
  floor = _of(given, name, "floor")
  if floor is not None:
    above = expected > floor
    assert above.any(), f"{name}: nothing is above the floor"
    expected, got = expected[above], got[above]
  outside, error = _outside(name, got, expected, limit)
  assert outside <= (_of(given, name, "outliers") or 0.0), (
    f"{name}: off by {error:.3g}, allowed {limit:.3g}, {outside:.2%} outside"
  )


def _of(given, name, kind):
  """The value of "<name>_<kind>", or None."""
  stems = (name, name.partition("/")[0])
  return next((given[k] for s in stems if (k := f"{s}_{kind}") in given), None)


def _outside(name, got, expected, limit):
  """(share of elements that are further off than the limit, largest error).

  NaN and infinities are near nothing; equal infinities are equal.
  """
  finite = np.isfinite(expected)
  assert (np.isfinite(got) == finite).all(), f"{name}: not finite"
  assert (got == expected)[~finite].all(), f"{name}: other infinities"
  got, expected = (x[finite].astype(np.float64) for x in (got, expected))
  error = np.abs(got - expected)
  if not error.size:
    return 0.0, 0.0
  return float(np.mean(error > limit)), float(error.max())


def compare(case: Case, adapter: Any) -> bool:
  """Runs an adapter on a case; False if it skips all of it.

  Raises:
    AssertionError: an output is another, or neither returned nor skipped.
  """
  got = adapter.run(case)
  unknown = set(got) - set(case.outputs)
  assert not unknown, f"adapter returns what the case lacks: {unknown}"
  for name in case.outputs:
    if name in got:
      check(case, name, got[name])
    else:
      assert name in adapter.SKIPPED, f"{name}: not returned, not in SKIPPED"
      assert adapter.SKIPPED[name], f"{name}: SKIPPED needs a reason"
  return bool(got)
