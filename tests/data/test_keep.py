"""Lists of examples to keep."""

import numpy as np
import pytest

from jmim.core import errors
from jmim.data import combine
from jmim.data import groups
from jmim.data import keep
from jmim.data import sources
from jmim.data import splits


@pytest.fixture
def source():
  return sources.ArraySource(
    {"label": np.arange(10), "clip": np.arange(10) % 2}
  )


def written(folder, name, value):
  path = folder / name
  if isinstance(value, dict):
    with path.open("wb") as file:
      np.savez(file, **value)
  elif isinstance(value, bytes):
    path.write_bytes(value)
  elif name.endswith(".npy"):
    np.save(path, value)
  else:
    path.write_text(value)
  return str(path)


@pytest.mark.parametrize(
  ("name", "value"),
  [
    ("list.npy", np.array([7, 2, 4])),
    ("list.npy", np.isin(np.arange(10), (2, 4, 7))),
    ("list.txt", "2\n7\n4\n"),
  ],
)
def test_every_form_lists_the_same(tmp_path, source, name, value):
  part = keep.part(source, written(tmp_path, name, value))
  assert [part[i]["label"] for i in range(len(part))] == [2, 4, 7]
  assert splits.labels_of(part).tolist() == [2, 4, 7]
  same = keep.part(source, written(tmp_path, "other.txt", "4 7 2"))
  assert keep.digest(part) == keep.digest(same) != ""


def test_the_list_is_found_below_what_is_made_of_the_part(tmp_path, source):
  part = keep.part(source, written(tmp_path, "a.txt", "0 1 2 3 4 5"))
  left, held = splits.hold_out(part, 0.5)
  made = [
    left,
    held,
    combine.Cached(left, 1000),
    groups.Grouped(combine.Cached(part, 1000), "clip", 2),
    combine.Mixture([source, left], [1, 1]),
  ]
  assert {keep.digest(x) for x in made} == {keep.digest(part)}
  assert keep.digest(source) == ""
  other = keep.part(source, written(tmp_path, "b.txt", "0 1 2 3 4 6"))
  assert keep.digest(other) != keep.digest(part)


@pytest.mark.parametrize(
  ("name", "value", "words"),
  [
    ("a.txt", "1 2 x", "'x'"),
    ("a.txt", "", "0 lines"),
    ("a.txt", "1 1", "1 different"),
    ("a.txt", "0 10", "below 10"),
    ("a.npy", np.array([-1, 3]), "-1"),
    ("a.npy", np.array([0.5]), "float64"),
    ("a.npy", np.ones(9, bool), "bool"),
    ("a.npy", np.ones((2, 2), int), "[2, 2]"),
    ("a.npy", {"a": np.arange(2)}, "an archive of arrays"),
    ("a.npy", b"\x93NUMPY\x01", "EOF"),
  ],
)
def test_what_is_no_list_names_the_key(tmp_path, source, name, value, words):
  with pytest.raises(errors.UserError) as caught:
    keep.part(source, written(tmp_path, name, value))
  assert caught.value.key == "data.keep" and words in str(caught.value)


def test_a_file_that_is_missing_or_broken_names_the_key(tmp_path, source):
  (tmp_path / "a.npy").write_bytes(b"")
  (tmp_path / "b.npy").write_bytes(b"no array")
  for path in ("nowhere.txt", "a.npy", "b.npy", "."):
    with pytest.raises(errors.UserError) as caught:
      keep.part(source, str(tmp_path / path))
    assert caught.value.key == "data.keep"
