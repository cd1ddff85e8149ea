"""Checkpoints: bit-equal round trips, other meshes, damage and differences."""

import gc
import os
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import storekit

from jmim.checkpoints import folder as saved_folder
from jmim.checkpoints import store as checkpoint
from jmim.core import errors


@pytest.mark.parametrize("fsdp, devices", [(8, 8), (2, 8), (1, 1), (2, 4)])
def test_a_round_trip_is_bit_equal_on_any_mesh(saved, fsdp, devices):
  workdir, state = saved
  wanted = storekit.like(state, storekit.layout(fsdp, devices))
  found = storekit.restore(workdir, wanted)
  assert storekit.bits(found) == storekit.bits(state)
  assert jax.tree.structure(found) == jax.tree.structure(state)
  for x, y in zip(jax.tree.leaves(found), jax.tree.leaves(wanted), strict=True):
    assert x.sharding == y.sharding and x.dtype == y.dtype


def test_the_newest_are_kept(tmp_path):
  made = checkpoint.Checkpoints(tmp_path, keep=2)
  assert made.latest() is None
  for step in (1, 2, 5, 9):
    made.save(step, {"x": jnp.full(3, step)}, {})
  made.close()
  kept = {p.name for p in (tmp_path / "checkpoints").iterdir()}
  assert kept == {"5", "9"}
  again = checkpoint.Checkpoints(tmp_path, keep=2)
  assert again.latest() == 9
  again.save(9, {"x": jnp.zeros(3)}, {})  # replaces nothing
  again.close()
  wanted = storekit.like({"x": jnp.zeros(3, jnp.int32)})
  assert np.all(storekit.restore(tmp_path, wanted, 9)["x"] == 9)


def test_a_save_looks_at_none_of_those_that_are_kept(tmp_path, monkeypatch):
  """Or it would take the longer, the more there are."""
  made = checkpoint.Checkpoints(tmp_path, keep=99)
  for step in (1, 2, 3):
    made.save(step, {"x": jnp.full(3, step)}, {})
  made.wait()
  sized, write = [], saved_folder.write_sizes
  monkeypatch.setattr(
    saved_folder,
    "write_sizes",
    lambda where: sized.append(int(where.name)) or write(where),
  )
  monkeypatch.setattr(made._manager, "reload", lambda: pytest.fail("reload"))
  for step in (4, 5):
    made.save(step, {"x": jnp.full(3, step)}, {})
  made.close()
  assert sized == [3, 4, 5] and made.steps() == [1, 2, 3, 4, 5]
  folder = tmp_path / "checkpoints"
  assert all(
    (folder / str(i) / saved_folder.SIZES).exists() for i in range(1, 6)
  )


@pytest.mark.parametrize("theirs", (3, 9))
def test_a_step_of_another_run_is_no_step_of_ours(tmp_path, theirs):
  """Whether the very one, or a newer one, for which Orbax saves nothing."""
  ours, other = (checkpoint.Checkpoints(tmp_path) for _ in range(2))
  ours.save(1, {"x": jnp.zeros(3)}, {})
  ours.wait()
  other._ours.add(1)
  other.save(theirs, {"x": jnp.ones(3)}, {})
  other.close()
  with pytest.raises(errors.UserError, match="has not saved") as e:
    ours.save(3, {"x": jnp.zeros(3)}, {})
  assert f"checkpoints/{theirs}" in e.value.seen and e.value.key == "--workdir"
  assert f"this run (process {os.getpid()} on host " in e.value.seen
  ours.close()


def test_looking_creates_and_removes_nothing(tmp_path):
  made = checkpoint.Checkpoints(tmp_path / "none", write=False)
  assert made.latest() is None
  made.close()
  assert not (tmp_path / "none").exists()


def test_an_unfinished_checkpoint_is_not_seen(saved, tmp_path):
  shutil.copytree(saved[0], tmp_path / "run")
  folder = tmp_path / "run" / "checkpoints"
  (folder / "7").rename(folder / "9.orbax-checkpoint-tmp")
  made = checkpoint.Checkpoints(tmp_path / "run")
  assert made.latest() == 3
  made.close()


def biggest(folder):
  files = [p for p in folder.rglob("*") if p.is_file()]
  return max(files, key=lambda p: p.stat().st_size)


DAMAGE = {
  "no meta": lambda d: shutil.rmtree(d / "meta"),
  "no state": lambda d: shutil.rmtree(d / "state"),
  "emptied": lambda d: [shutil.rmtree(d / "meta"), shutil.rmtree(d / "state")],
  "meta cut": lambda d: storekit.cut(d / "meta" / "metadata"),
  "meta garbage": lambda d: (d / "meta" / "metadata").write_bytes(b"\xff" * 9),
  "meta of another": lambda d: (d / "meta" / "metadata").write_text("{}"),
  "array file gone": lambda d: biggest(d / "state").unlink(),
  "array file cut": lambda d: storekit.cut(biggest(d / "state")),
  "index cut": lambda d: storekit.cut(d / "state" / "manifest.ocdbt"),
}


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("noted", [True, False], ids=["sizes", "killed"])
@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE.keys())
def test_a_damaged_checkpoint_is_named_with_a_remedy(
  saved, tmp_path, damage, noted
):
  workdir, state = tmp_path / "run", saved[1]
  shutil.copytree(saved[0], workdir)
  damage(workdir / "checkpoints" / "7")
  if not noted:  # killed before it could note the sizes
    (workdir / "checkpoints" / "7" / saved_folder.SIZES).unlink()
  with pytest.raises(errors.UserError) as e:
    storekit.restore(workdir, storekit.like(state))
  assert str(workdir / "checkpoints" / "7") in e.value.seen
  assert "delete" in e.value.fix and e.value.key == "--workdir"
  assert len(e.value.screen().splitlines()) <= 6
  assert isinstance(e.value, errors.Damaged)
  del e
  gc.collect()  # of reads that Orbax abandoned: they warn here, not elsewhere
  # The remedy works: the one before is whole.
  shutil.rmtree(workdir / "checkpoints" / "7")
  assert storekit.bits(
    storekit.restore(workdir, storekit.like(state), 3)
  ) == storekit.bits(state)


def test_a_folder_that_was_renamed_is_damaged(saved, tmp_path):
  shutil.copytree(saved[0], tmp_path / "run")
  folder = tmp_path / "run" / "checkpoints"
  (folder / "7").rename(folder / "9")
  wanted = storekit.like(saved[1])
  with pytest.raises(errors.Damaged, match="renamed: it is of step 7"):
    storekit.restore(tmp_path / "run", wanted, 9)
  step, _, said = storekit.newest(tmp_path / "run", wanted)
  assert step == 3 and "checkpoint 9 is damaged" in said[0]


def test_the_config_is_read_back(tmp_path):
  (tmp_path / "config.json").write_text('{"data": {"batch": 8}}')
  assert checkpoint.read_config(tmp_path) == {"data": {"batch": 8}}


@pytest.mark.parametrize("wanted", [jnp.bfloat16, jnp.float16])
def test_floats_come_in_the_dtype_asked_for(saved, wanted):
  state = saved[1]
  kernel = state["params"]["kernel"].astype(wanted)
  other = state | {"params": {"kernel": kernel}}
  found = storekit.restore(saved[0], storekit.like(other, storekit.layout(2)))
  assert storekit.bits(found) == storekit.bits(other)


def test_another_kind_of_number_is_a_difference(saved):
  state = saved[1] | {"step": jnp.float32(0)}
  with pytest.raises(errors.UserError, match="dtype of step: int32 saved"):
    storekit.restore(saved[0], storekit.like(state))


def test_a_killed_deletion_is_finished_at_the_start(saved, tmp_path):
  shutil.copytree(saved[0], tmp_path / "run")
  folder = tmp_path / "run" / "checkpoints"
  (folder / "trash").mkdir()
  (folder / "3").rename(folder / "trash" / "3")
  shutil.rmtree(folder / "trash" / "3" / "meta")
  made = checkpoint.Checkpoints(tmp_path / "run")
  assert made.steps() == [7]
  made.close()
  assert not (folder / "trash").exists()
