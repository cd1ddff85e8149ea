"""The newest checkpoint that is intact, and what becomes of the others."""

import gc
import shutil

import jax.numpy as jnp
import pytest
import storekit

from jmim.checkpoints import intact
from jmim.checkpoints import store as checkpoint
from jmim.core import errors

FILES = [
  "meta/metadata",
  "state/_METADATA",
  "state/_sharding",
  "sizes.json",
  "state/manifest.ocdbt",
  "state/d/*",
  "state/ocdbt.process_0/manifest.ocdbt",
  "state/ocdbt.process_0/d/*",
  "state/array_metadatas/*",
  "*.txt",
  "_CHECKPOINT_METADATA",
  "*/commit_success.txt",
]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("pattern", FILES)
def test_a_flipped_byte_is_found_or_harms_nothing(saved, tmp_path, pattern):
  """At the start, the middle and the end of each file in turn."""
  source, state = saved
  wanted = storekit.like(state)
  names = [
    p.relative_to(source / "checkpoints" / "7")
    for p in sorted((source / "checkpoints" / "7").glob(pattern))
  ]
  assert names or pattern.endswith(".txt")  # which of those: Orbax's version
  for i, name in enumerate(names):
    size = (source / "checkpoints" / "7" / name).stat().st_size
    for place in {0, size // 3, size // 2, size - 1}:
      workdir = tmp_path / f"{i}_{place}"
      shutil.copytree(source, workdir)
      path = workdir / "checkpoints" / "7" / name
      data = bytearray(path.read_bytes())
      data[place] ^= 0x11
      path.write_bytes(data)
      step, found, said = storekit.newest(workdir, wanted)
      assert storekit.bits(found) == storekit.bits(state), (name, place)
      if step == 3:
        assert "7 is damaged" in said[0] and "step 3" in said[1]
        assert (workdir / "damaged" / "7").is_dir()
      else:
        assert not said
      shutil.rmtree(workdir)
  gc.collect()


def test_every_file_has_its_turn(saved):
  folder = saved[0] / "checkpoints" / "7"
  every = {p for p in folder.rglob("*") if p.is_file()}
  assert every == {p for pattern in FILES for p in folder.glob(pattern)}


def test_without_an_intact_one_nothing_is_moved(saved, tmp_path):
  workdir, state = tmp_path / "run", saved[1]
  shutil.copytree(saved[0], workdir)
  for step in ("3", "7"):
    storekit.cut(workdir / "checkpoints" / step / "meta" / "metadata")
  with pytest.raises(errors.Damaged, match="7 cannot be read"):
    storekit.newest(workdir, storekit.like(state))
  left = {p.name for p in (workdir / "checkpoints").iterdir()}
  assert left == {"3", "7"} and not (workdir / "damaged").exists()


def test_another_model_is_no_damage(saved, tmp_path):
  workdir, state = tmp_path / "run", saved[1]
  shutil.copytree(saved[0], workdir)
  with pytest.raises(errors.UserError, match="another model") as e:
    storekit.newest(
      workdir,
      storekit.like(state | {"step": jnp.zeros(3)}),
    )
  assert not isinstance(e.value, errors.Damaged)


def test_after_falling_back_the_step_can_be_saved_again(saved, tmp_path):
  workdir, state = tmp_path / "run", saved[1]
  shutil.copytree(saved[0], workdir)
  storekit.cut(workdir / "checkpoints" / "7" / "meta" / "metadata")
  made = checkpoint.Checkpoints(workdir)
  intact.restore(made, storekit.like(state), lambda text: None)
  made.save(7, state, {})
  made.close()
  assert storekit.newest(workdir, storekit.like(state), write=False)[0] == 7


def test_what_a_run_beside_has_deleted_is_not_damaged(saved, tmp_path):
  workdir, state = tmp_path / "run", saved[1]
  shutil.copytree(saved[0], workdir)
  reader = checkpoint.Checkpoints(workdir, write=False)
  rotate = lambda steps: {*steps} - ({7} if 9 in steps else set())
  run = checkpoint.Checkpoints(workdir, keep=rotate)
  run.save(9, state, {})
  said, read = [], []

  def slow(step, like):
    read.append(step)
    if step == 7:
      run.close()  # which deletes it
    return reader.restore(step, like)

  like = storekit.like(state)
  step, found, _ = intact.restore(reader, like, said.append, before=8, how=slow)
  reader.close()
  assert (step, read, said) == (3, [7, 3], [])
  assert storekit.bits(found) == storekit.bits(state)


def test_what_is_to_be_older_than_a_step_is(saved):
  workdir, state = saved
  made = checkpoint.Checkpoints(workdir, write=False)
  try:
    like = storekit.like(state)
    find = lambda before: intact.restore(made, like, pytest.fail, before)[0]
    assert (find(None), find(8), find(7), find(4)) == (7, 7, 3, 3)
  finally:
    made.close()


def test_hosts_restore_the_step_that_the_first_one_sees(saved, monkeypatch):
  """A network disk may still show this one a later state, or an earlier one."""
  workdir, state = saved
  made = checkpoint.Checkpoints(workdir, write=False)
  monkeypatch.setattr(made.group, "of_first", lambda name, value: "[3]")
  try:
    like = storekit.like(state)
    assert intact.restore(made, like, pytest.fail)[0] == 3
  finally:
    made.close()


def test_hosts_restore_what_all_of_them_read(saved, monkeypatch):
  """Every datum counts: a step that was saved twice may look old to one."""
  workdir, state = saved
  made = checkpoint.Checkpoints(workdir, write=False)
  like, said, slept = storekit.like(state), [], []
  monkeypatch.setattr(intact.alike.time, "sleep", slept.append)
  now, true = made.meta(7), made.meta
  older = iter([now | {"losses": [1.0]}, now | {"position": 3}, now])
  read = lambda step: next(older, None) or true(step)
  first = {"meta data of checkpoint 7": intact.saved.digest(now)}
  both = lambda name, mine: [first.get(name, mine), mine]
  monkeypatch.setattr(made, "meta", read)
  monkeypatch.setattr(made.group, "of_all", both)
  try:
    step, found, meta = intact.restore(made, like, said.append)
    assert (step, meta, slept) == (7, now, [1, 2])
    assert storekit.bits(found) == storekit.bits(state)
    assert all("another meta data of checkpoint 7" in text for text in said)
    older = iter([now | {"skips": [[1, 2]]}] * 9)
    with pytest.raises(errors.UserError, match="meta data of checkpoint 7 of"):
      intact.restore(made, like, said.append)
  finally:
    made.close()
