"""Checkpoints in folders of any name."""

import jax.numpy as jnp
import numpy as np
import pytest

from jmim.checkpoints import manager
from jmim.checkpoints import store as checkpoint
from jmim.core import errors

ODD = (
  "lr[3e-3]",
  "[!a]",
  "back\\slash",
  "a b",
  "ümlaut",
  "~",
  "100%41",
  "st*r",
  "q?x",
  "gs:",
  "new\nline",
  "latin\udce9",
)


@pytest.mark.parametrize("name", ODD, ids=ascii)
def test_what_is_saved_in_a_folder_is_restored(tmp_path, name):
  state = {"params": {"a": jnp.arange(6.0)}}
  made = checkpoint.Checkpoints(tmp_path / name)
  made.save(1, state, {})
  made.close()
  made = checkpoint.Checkpoints(tmp_path / name, write=False)
  try:
    assert made.latest() == 1
    found = made.restore(1, {"params": {"a": jnp.zeros(6)}})
  finally:
    made.close()
  np.testing.assert_array_equal(found["params"]["a"], np.arange(6.0))
  assert (tmp_path / name / "checkpoints" / "1").is_dir()


def test_a_pattern_in_a_name_does_not_find_the_neighbours(tmp_path):
  for name, value in (("run1", 1.0), ("run*", 2.0)):
    made = checkpoint.Checkpoints(tmp_path / name)
    made.save(1, {"a": jnp.full(3, value)}, {})
    made.close()
  made = checkpoint.Checkpoints(tmp_path / "run*", write=False)
  found = made.restore(1, {"a": jnp.zeros(3)})
  made.close()
  np.testing.assert_array_equal(found["a"], 2.0)


def test_a_link_is_made_only_where_it_is_needed_and_is_removed(tmp_path):
  assert manager.Link(tmp_path / "a-b=1").path == tmp_path / "a-b=1"
  (tmp_path / "[a]").mkdir()
  with manager.Link(tmp_path / "[a]") as path:
    assert path.samefile(tmp_path / "[a]") and manager.plain(path)
  assert not path.parent.exists() and (tmp_path / "[a]").is_dir()


def test_without_a_place_for_the_link_the_name_is_refused(
  tmp_path, monkeypatch
):
  (tmp_path / "[odd]").mkdir()
  monkeypatch.setattr(manager.tempfile, "tempdir", str(tmp_path / "[odd]"))
  with pytest.raises(errors.UserError, match="choose another name"):
    manager.Link(tmp_path / "[a]")
  assert not list((tmp_path / "[odd]").iterdir())
