"""Labels as class ids, however they are written."""

import types

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies

from jmim.data import labels

WRITTEN = {
  "[n]": lambda y: y,
  "a list": lambda y: y.tolist(),
  "[n, 1]": lambda y: y[:, None],
  "[n, 1, 1]": lambda y: y[:, None, None],
  "floats": lambda y: y.astype(np.float64),
  "float32 [n, 1]": lambda y: y[:, None].astype(np.float32),
  "bytes": lambda y: y.astype(np.int8),
  "one-hot": lambda y: np.eye(7, dtype=np.uint8)[y],
  "one-hot floats": lambda y: np.eye(7)[y],
  "one-hot booleans": lambda y: np.eye(7)[y] == 1,
}


@hypothesis.given(
  strategies.lists(strategies.integers(0, 6), min_size=1, max_size=9),
  strategies.sampled_from(sorted(WRITTEN)),
)
def test_every_way_to_write_a_class_is_the_class(classes, way):
  written = WRITTEN[way](np.array(classes))
  found = labels.read(written)
  assert found.values.tolist() == classes and found.values.dtype == np.int32
  assert found.classes == (7 if "one-hot" in way else max(classes) + 1)
  assert not found.fault
  for value, want in zip(written, classes, strict=True):
    assert labels.one(np.asarray(value)) == want


def test_minus_one_is_no_label():
  found = labels.read([[-1.0], [2.0], [-1.0]])
  assert found.values.tolist() == [-1, 2, -1] and found.classes == 3
  assert labels.read([-1, -1]).classes is None
  assert labels.read([]).classes is None


@pytest.mark.parametrize(
  ("written", "word"),
  [
    ([0.0, 0.5], "0.5"),
    ([0.0, np.nan], "NaN"),
    ([0.0, np.inf], "infinite"),
    ([[0, 1, 1], [1, 0, 0]], "3 numbers per label"),
    ([[0.2, 0.8], [1.0, 0.0]], "0.2"),
    ([[0, 0], [1, 0]], "2 numbers per label"),
    ([[0], [1, 2]], "different lengths"),
    ([[[0, 1]], [[1, 0]]], "shape"),
    (np.zeros((2, 0)), "without a number"),
    (["cat", "dog"], "not numbers"),
    ([-2, 1], "from -2 to 1"),
    ([0, 2**40], "to 1099511627776"),
  ],
)
def test_what_is_no_class_stays_and_says_why(written, word):
  found = labels.read(written)
  assert word in found.fault and found.classes is None
  assert found.values is written


def test_columns_and_faults_are_those_of_the_parts():
  whole = types.SimpleNamespace(column={"label": [1, 2]}.get, fault="odd")
  files = types.SimpleNamespace()
  both = types.SimpleNamespace(parts=(files, whole))
  assert list(labels.columns(both, "label")) == [[1, 2]]
  assert list(labels.columns(files, "label")) == []
  assert list(labels.columns(whole, "tokens")) == []
  assert labels.fault(both) == "odd" and labels.fault(files) == ""
