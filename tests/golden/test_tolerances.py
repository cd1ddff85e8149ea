"""The golden runner itself: what passes, what fails, what is a mistake."""

import json
import pathlib
import types

import goldens
import numpy as np
import pytest


def case(outputs, **info):
  outputs = {name: np.asarray(x) for name, x in outputs.items()}
  return goldens.Case(
    path=pathlib.Path("a"), info=info, inputs={}, outputs=outputs, params={}
  )


def passes(reference, got, name="y", **tolerance):
  """Whether one output passes under the tolerances of its case."""
  one = case({name: np.asarray(reference)}, tolerance=tolerance)
  try:
    goldens.check(one, name, np.asarray(got))
  except AssertionError:
    return False
  return True


BIG = np.float32([0.0, 1.0, -1000.0])
EDGE = 1.001  # a little more than what is allowed


@pytest.mark.parametrize(
  "off, name, tolerance",
  [
    # Absolute, whatever the size of the values.
    (1e-4, "y", {}),
    (3e-4, "y", {"default_abs": 3e-4}),
    (2e-3, "y", {"y_abs": 2e-3}),
    (2e-6, "y", {"y_abs": 2e-6, "default_abs": 1.0, "y_rel": 1.0}),
    # Relative to the largest value, 1000.
    (2e-2, "y", {"y_rel": 2e-5, "default_abs": 1.0}),
    (1e-4 + 1e-2, "y", {"relative": 1e-5}),
    (3e-4 + 1e-2, "y", {"relative": 1e-5, "default_abs": 3e-4}),
    # Gradients.
    (1.0, "grad/x", {}),
    (1.0, "grad_norm", {"default_abs": 1e-9, "relative": 1e-9}),
    (0.5, "grad_norm", {"grad_rel": 5e-4}),
    (1e-5, "grad/x", {"grad/x_abs": 1e-5}),
    (1e-2, "grad/x", {"grad/x_rel": 1e-5, "grad_rel": 1e-3}),
    # The whole name, or its first component; the whole name first.
    (1e-2, "updated/w", {"updated_abs": 1e-2}),
    (1e-3, "updated/w", {"updated/w_abs": 1e-3, "updated_abs": 1e-2}),
    (1e-3, "a/b/c", {"a_rel": 1e-6}),
    # People's words change nothing.
    (1e-4, "y", {"note": "roughly 5"}),
  ],
)
def test_an_error_up_to_what_is_allowed_passes(off, name, tolerance):
  got = BIG.astype(np.float64)
  assert passes(BIG, got + [off / EDGE, 0, 0], name, **tolerance)
  assert passes(BIG, got - [0, 0, off / EDGE], name, **tolerance)
  assert not passes(BIG, got + [0, off * EDGE, 0], name, **tolerance)
  assert not passes(BIG, got - [0, 0, off * EDGE], name, **tolerance)


def test_a_default_that_float32_cannot_resolve_is_one_of_its_rounding():
  huge = np.float32([1.0, -1e5])
  limit = goldens.ROUNDING * 1e5
  assert passes(huge, huge + [0, limit / EDGE])
  assert not passes(huge, huge.astype(float) + [limit * EDGE, 0])
  # What is said of an output itself holds.
  assert not passes(huge, huge.astype(float) + [2e-3, 0], y_abs=1e-3)


def test_a_share_may_be_outside():
  reference = np.zeros(1000)
  got = reference.copy()
  got[:2] = 9.0
  assert not passes(reference, got)
  assert passes(reference, got, y_outliers=0.002)
  assert passes(reference, got, "y/x", y_outliers=0.002)
  got[2] = 9.0
  assert not passes(reference, got, y_outliers=0.002)
  got[2] = np.nan
  assert not passes(reference, got, y_outliers=0.5)


def test_only_what_is_above_the_floor_is_compared():
  reference = np.float32([-70.0, -np.inf, -30.0, -2.0])
  got = np.float32([-60.0, -1e30, -20.0, -2.0])
  assert not passes(reference, got)
  assert passes(reference, got, y_floor=-30.0)
  assert not passes(reference, got - [0, 0, 0, 1], y_floor=-30.0)
  # At the floor is not above it; a floor above all would compare nothing.
  assert not passes(reference, got, y_floor=-30.1)
  assert not passes(reference, got, y_floor=0.0)


@pytest.mark.parametrize(
  "reference, got, equal",
  [
    ([1.0, np.inf], [1.0, np.inf], True),
    ([1.0, -np.inf], [1.0, np.inf], False),
    ([1.0, -np.inf], [1.0, -1e30], False),
    ([1.0, 2.0], [1.0, np.inf], False),
    ([1.0, 2.0], [1.0, np.nan], False),
    ([1.0, np.nan], [1.0, np.nan], False),
    ([0.0, 0.0], [0.0, 0.0], True),
    (np.zeros((0, 3)), np.zeros((0, 3)), True),
    (1.0, 1.0, True),
  ],
)
def test_infinities_nan_and_nothing(reference, got, equal):
  # A scale that is not finite must not make everything near.
  assert passes(reference, got, y_rel=0.1) == equal


@pytest.mark.parametrize("kind", [np.int32, np.uint8, bool])
def test_integers_are_equal_or_not(kind):
  reference = np.array([0, 1, 1], kind)
  loose = {"y_abs": 9.0, "y_outliers": 1.0, "default_abs": 9.0}
  assert passes(reference, reference, **loose)
  assert not passes(reference, 1 - reference.astype(int), **loose)


@pytest.mark.parametrize("shape", [(3, 1), (1, 3), (2,)])
def test_shapes_are_those_of_the_reference(shape):
  assert passes(np.zeros(3), np.zeros(3), y_abs=9.0)
  assert not passes(np.zeros(3), np.zeros(shape), y_abs=9.0)


@pytest.mark.parametrize(
  "tolerance",
  [
    {"y_ab": 1e-3},
    {"y": 1e-3},
    {"abs": 1e-3},
    {"_abs": 1e-3},
    {"z_abs": 1e-3},  # no output of that name
    {"yy_rel": 1e-3},
    {"updated/w/x_abs": 1e-3},
    {"grads_rel": 1e-3},
    {"absolute": 1e-3},
    {"default_rel": 1e-3},
    {"notes": "a word"},
    {"y_abs": "1e-3"},
    {"y_abs": -1e-3},
    {"y_abs": True},
    {"y_abs": None},
    {"relative": float("nan")},
  ],
)
def test_an_unknown_key_or_value_is_an_error(tolerance):
  one = case({"y": [1.0], "updated/w": [1.0]}, tolerance=tolerance)
  with pytest.raises(ValueError, match=next(iter(tolerance))):
    goldens.check(one, "updated/w", np.float32([1.0]))


def test_older_forms_must_say_the_same():
  y = {"y": np.zeros(2)}
  known = lambda **info: goldens.tolerances(info, y)
  assert known(tolerance_abs=2e-4) == {"default_abs": 2e-4}
  both = {"tolerance_abs": 2e-4, "tolerance": {"default_abs": 2e-4}}
  assert known(**both) == {"default_abs": 2e-4}
  text = {"tolerance_text": "2e-4, about", "tolerance": {"y_abs": 2e-4}}
  assert known(**text) == {"y_abs": 2e-4}
  with pytest.raises(ValueError, match=r"0\.0002 and default_abs 0\.0001"):
    known(tolerance_abs=2e-4, tolerance={"default_abs": 1e-4})
  with pytest.raises(ValueError, match="about"):
    known(tolerance_text="2e-4, about")
  with pytest.raises(ValueError, match="tolerance_rel"):
    known(tolerance_rel=1e-3, tolerance={})
  assert known() == {}


# --- the runner, on a case and an adapter made up


def adapter(returns, skipped):
  return types.SimpleNamespace(run=lambda case: returns, SKIPPED=skipped)


@pytest.mark.parametrize(
  "returns, skipped, error",
  [
    ({"x": 1.0, "y": 2.0}, {}, None),
    ({"x": 1.0}, {"y": "why"}, None),
    ({"x": 1.0}, {}, "y: not returned"),
    ({"x": 1.0}, {"y": ""}, "needs a reason"),
    ({"x": 3.0}, {"y": "why"}, "x: off by 2"),
    ({"w": 1.0}, {"x": "why", "y": "why"}, "what the case lacks"),
  ],
)
def test_every_output_is_returned_or_has_a_reason(returns, skipped, error):
  one = case({"x": np.float32(1.0), "y": np.float32(2.0)})
  made = adapter(returns, skipped)
  if error is None:
    assert goldens.compare(one, made)
    return
  with pytest.raises(AssertionError, match=error):
    goldens.compare(one, made)


def test_all_of_a_case_may_be_skipped():
  one = case({"x": np.float32(1.0)})
  assert not goldens.compare(one, adapter({}, {"x": "why"}))


def test_a_case_is_read_back(tmp_path):
  path = tmp_path / "made" / "a.npz"
  path.parent.mkdir()
  arrays = {"out/x": np.ones(2), "out/x/y": np.zeros(1), "in/z": np.eye(2)}
  np.savez(path, **arrays, **{"param/w": np.arange(3)})
  path.with_suffix(".json").write_text(json.dumps({"config": {"size": 1}}))
  assert goldens.find(tmp_path) == goldens.find(path.parent) == [path]
  one = goldens.load(path)
  assert (list(one.outputs), list(one.inputs)) == (["x", "x/y"], ["z"])
  assert one.params["w"].tolist() == [0, 1, 2] and one.config == {"size": 1}
