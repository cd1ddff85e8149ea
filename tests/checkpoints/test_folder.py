"""One checkpoint folder: what is in it, and whether it is as it was."""

import json
import shutil

import jax.numpy as jnp
import numpy as np
import pytest
import storekit

from jmim.checkpoints import checksum
from jmim.checkpoints import folder as folders
from jmim.checkpoints import migrate
from jmim.checkpoints import store as checkpoint
from jmim.core import errors
from jmim.core import tree as trees


def test_what_is_inside_says_where_it_came_from(saved):
  workdir, state = saved
  path = workdir / "checkpoints" / "7" / "meta" / "metadata"
  meta = json.loads(path.read_text())
  assert meta["schema"] == migrate.SCHEMA
  assert meta["config"] == {"seed": 7}
  assert meta["arrays"]["half"][:2] == [[64], "bfloat16"]
  assert set(meta["arrays"]) == set(trees.named(state))


def test_every_complete_checkpoint_knows_its_files(saved):
  for step in ("3", "7"):
    folder = saved[0] / "checkpoints" / step
    noted = json.loads((folder / folders.SIZES).read_text())
    found = {p for p in folder.rglob("*") if p.is_file()}
    assert {folder / n for n in noted} == found - {folder / folders.SIZES}
    assert all((folder / n).stat().st_size == s for n, s in noted.items())


def test_reading_only_is_no_reason_to_warn(tmp_path, caplog):
  (tmp_path / "checkpoints").mkdir()
  checkpoint.Checkpoints(tmp_path, write=False)
  assert "read only" not in caplog.text


def test_another_schema_is_refused(saved, tmp_path):
  workdir, state = tmp_path / "run", saved[1]
  shutil.copytree(saved[0], workdir)
  folder = workdir / "checkpoints" / "7"
  path = folder / "meta" / "metadata"
  meta = json.loads(path.read_text()) | {"schema": 99}
  del meta["digest"]
  path.write_text(json.dumps(meta | {"digest": folders.digest(meta)}))
  (folder / folders.SIZES).unlink()
  with pytest.raises(errors.UserError, match="has schema 99"):
    storekit.restore(workdir, storekit.like(state))


def test_the_digest_is_of_the_content_in_whatever_order():
  meta = {"b": 1, "a": [2]}
  assert folders.digest(meta) == folders.digest({"a": [2], "b": 1})
  assert folders.digest(meta) != folders.digest(meta | {"b": 2})


def test_meta_data_name_shape_dtype_and_checksum_of_every_array():
  named = {"x": jnp.arange(3), "y": jnp.zeros((2, 5), jnp.bfloat16)}
  meta = folders.metadata(named, {"config": {"seed": 1}})
  sums = checksum.of(named)
  assert meta["arrays"] == {
    "x": [[3], "int32", sums["x"]],
    "y": [[2, 5], "bfloat16", sums["y"]],
  }
  digest = meta.pop("digest")
  assert meta["config"] == {"seed": 1} and digest == folders.digest(meta)


def test_a_checksum_that_differs_is_damage_and_one_that_is_not_there_is_none():
  saved = {"a": [[3], "int32", 7], "b": [[3], "int32", None]}
  folders.check_sums("here", saved, {"a": 7, "b": 1})
  with pytest.raises(errors.Damaged, match="another checksum of a"):
    folders.check_sums("here", saved, {"a": 8, "b": 1})


def test_only_the_arrays_asked_for_are_read(saved):
  workdir, state = saved
  where = workdir / "checkpoints" / "7"
  like = {"params/kernel": jnp.zeros((64, 128))}
  found = folders.arrays(where, like)
  assert list(found) == list(like)
  np.testing.assert_array_equal(
    found["params/kernel"], state["params"]["kernel"]
  )
