"""Data sets that jmim ships, prepared on first use."""

import pytest

from jmim.core import errors
from jmim.data import sources
from jmim.data import tfds_prepare


def _error(*args):
  with pytest.raises(errors.UserError) as caught:
    sources.build(*args)
  return caught.value


def test_those_that_are_shipped_are_named():
  assert {"digits", "markov", "shapes", "scenes"} <= set(tfds_prepare.shipped())


def test_unknown_config_of_a_shipped_data_set(tmp_path):
  error = _error("digits/scatered", "train", str(tmp_path))
  assert error.key == "data.name" and "plain, scattered" in error.expected
  error = _error("digits:0.0.1", "train", str(tmp_path))
  assert error.key == "data.data_dir"


def test_a_folder_that_cannot_be_written(tmp_path):
  (tmp_path / "file").write_text("")
  error = _error("digits/plain", "train", str(tmp_path / "file"))
  assert error.key == "data.data_dir" and "cannot be prepared" in error.seen
