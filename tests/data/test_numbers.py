"""Numbers beside pictures; of all else nothing is made."""

import numpy as np

from jmim.data import numbers


def test_numbers_are_32_bits_wide():
  example = {
    "a": 3,
    "b": [True, False],
    "c": np.float64(0.5),
    "d": np.array([[1, 2]], np.uint16),
    "e": np.array([], np.int64),
  }
  made = numbers.of(example)
  types = {name: x.dtype.name for name, x in made.items()}
  assert types == dict(a="int32", b="int32", c="float32", d="int32", e="int32")
  assert made["d"].tolist() == [[1, 2]] and made["b"].tolist() == [1, 0]


def test_the_rest_is_left_out():
  example = {
    "text": "a cat",
    "bytes": b"abc",
    "rows": [[1], [1, 2]],
    "words": ["a", "b"],
    "none": None,
    "object": {"x": 1},
    "objects": np.array([{"x": 1}], object),
    "mixed": [1, "a"],
    "time": np.datetime64("2020-01-01"),
    "complex": 1j,
    "large": 2**31,  # would be another number as an int32
    "negative": np.array([-(2**31) - 1]),
    "unsigned": np.array([2**32 - 1], np.uint32),
    "image": np.zeros((2, 2, 3), np.uint8),
    "fits": 2**31 - 1,
  }
  assert numbers.of(example) == {"fits": 2**31 - 1}


def test_a_label_is_its_class():
  assert numbers.of({"label": [2.0]})["label"] == 2
  assert numbers.of({"label": [0, 0, 1], "tags": [0, 0, 1]})["tags"].ndim == 1
  assert numbers.of({"label": [0, 0, 1]})["label"] == 2
  assert numbers.of({"label": [1, 1]})["label"].tolist() == [1, 1]
