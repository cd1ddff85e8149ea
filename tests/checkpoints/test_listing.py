"""Whose checkpoints lie in a folder; test_store.py has runs that meet."""

import pytest

from jmim.checkpoints import listing
from jmim.core import errors


def test_only_complete_checkpoints_count(tmp_path):
  for name in ("3", "12", "5.orbax-checkpoint-tmp", "trash"):
    (tmp_path / name).mkdir()
  assert listing.steps(tmp_path) == [3, 12]
  listing.check(tmp_path, {3, 12, 40})
  assert listing.others(tmp_path, {3}) == [12]
  with pytest.raises(
    errors.UserError, match=r"/12, which this run \(.*\) has not"
  ):
    listing.check(tmp_path, {3})


def test_a_folder_that_is_gone_is_for_others_to_report(tmp_path):
  listing.check(tmp_path / "none", ())
