"""Checkpoints: bit-equal round trips, other meshes, damage and differences."""

import gc
import json
import pathlib
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.checkpoints import folder as saved_folder
from jmim.checkpoints import intact as fallback
from jmim.checkpoints import migrate
from jmim.checkpoints import store as checkpoint
from jmim.core import errors
from jmim.core import tree as trees
from jmim.core import version
from jmim.parallel import sharding


def layout(fsdp, devices=8):
  sizes = {"data": -1, "fsdp": fsdp}
  mesh = sharding.make_mesh(sizes, jax.devices()[:devices])
  return sharding.Layout(mesh)


def make(where):
  """A state with leaves of many dtypes, placed by a layout."""
  rng = np.random.default_rng(0)
  bits = rng.integers(0, 2**16, 64).astype(np.uint16) & 0x7F7F  # finite
  tree = {
    "params": {"kernel": rng.normal(size=(64, 128)).astype(np.float32)},
    "half": jax.lax.bitcast_convert_type(jnp.asarray(bits), jnp.bfloat16),
    "opt": ({"mu": rng.normal(size=(8, 3)).astype(np.float32)}, {}),
    "special": np.float32([-0.0, np.inf, np.nan, 1e-45]),
    "flags": np.array([True, False]),
    "step": np.int32(2**31 - 1),
  }
  return jax.tree.map(
    jax.device_put, tree, where.tree(jax.eval_shape(lambda t: t, tree))
  )


def like(state, where):
  return jax.tree.map(
    lambda x, s: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=s),
    state,
    where.tree(state),
  )


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
  """(workdir with steps 3 and 7, the state of both)."""
  workdir = tmp_path_factory.mktemp("run")
  state = make(layout(8))
  made = checkpoint.Checkpoints(workdir)
  for step in (3, 7):
    made.save(step, state, {"config": {"seed": step}})
  made.close()
  return workdir, state


def restore(workdir, wanted, step=7):
  made = checkpoint.Checkpoints(workdir, write=False)
  try:
    return made.restore(step, wanted)
  finally:
    made.close()


def bits(tree):
  return {n: np.asarray(x).tobytes() for n, x in trees.named(tree).items()}


@pytest.mark.parametrize("fsdp, devices", [(8, 8), (2, 8), (1, 1), (2, 4)])
def test_a_round_trip_is_bit_equal_on_any_mesh(saved, fsdp, devices):
  workdir, state = saved
  wanted = like(state, layout(fsdp, devices))
  found = restore(workdir, wanted)
  assert bits(found) == bits(state)
  assert jax.tree.structure(found) == jax.tree.structure(state)
  for x, y in zip(jax.tree.leaves(found), jax.tree.leaves(wanted), strict=True):
    assert x.sharding == y.sharding and x.dtype == y.dtype


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
    noted = json.loads((folder / saved_folder.SIZES).read_text())
    found = {p for p in folder.rglob("*") if p.is_file()}
    assert {folder / n for n in noted} == found - {folder / saved_folder.SIZES}
    assert all((folder / n).stat().st_size == s for n, s in noted.items())


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
  wanted = like({"x": jnp.zeros(3, jnp.int32)}, layout(1, 1))
  assert np.all(restore(tmp_path, wanted, 9)["x"] == 9)


def test_looking_creates_and_removes_nothing(tmp_path):
  made = checkpoint.Checkpoints(tmp_path / "none", write=False)
  assert made.latest() is None
  made.close()
  assert not (tmp_path / "none").exists()


def test_reading_only_is_no_reason_to_warn(tmp_path, caplog):
  (tmp_path / "checkpoints").mkdir()
  checkpoint.Checkpoints(tmp_path, write=False)
  assert "read only" not in caplog.text


def test_an_unfinished_checkpoint_is_not_seen(saved, tmp_path):
  shutil.copytree(saved[0], tmp_path / "run")
  folder = tmp_path / "run" / "checkpoints"
  (folder / "7").rename(folder / "9.orbax-checkpoint-tmp")
  made = checkpoint.Checkpoints(tmp_path / "run")
  assert made.latest() == 3
  made.close()


def test_every_difference_is_listed_by_name(saved):
  workdir, state = saved
  other = state | {
    "params": {"kernel": jnp.zeros((64, 127)), "bias": jnp.zeros(3)}
  }
  del other["half"]
  with pytest.raises(errors.UserError) as e:
    restore(workdir, like(other, layout(1, 1)))
  lines = e.value.seen.splitlines()
  assert [line.strip() for line in lines[1:]] == [
    "not in the checkpoint: params/bias",
    "only in the checkpoint: half",
    "shape of params/kernel: (64, 128) saved, (64, 127) wanted",
  ]
  assert e.value.key == "--workdir"


def test_many_differences_still_fit_a_screen(saved):
  workdir, state = saved
  other = state | {"more": {str(i): jnp.zeros(2) for i in range(100)}}
  with pytest.raises(errors.UserError, match="and 88 more") as e:
    restore(workdir, like(other, layout(1, 1)))
  assert len(e.value.screen().splitlines()) <= 20


def biggest(folder):
  files = [p for p in folder.rglob("*") if p.is_file()]
  return max(files, key=lambda p: p.stat().st_size)


DAMAGE = {
  "no meta": lambda d: shutil.rmtree(d / "meta"),
  "no state": lambda d: shutil.rmtree(d / "state"),
  "emptied": lambda d: [shutil.rmtree(d / "meta"), shutil.rmtree(d / "state")],
  "meta cut": lambda d: cut(d / "meta" / "metadata"),
  "meta garbage": lambda d: (d / "meta" / "metadata").write_bytes(b"\xff" * 9),
  "meta of another": lambda d: (d / "meta" / "metadata").write_text("{}"),
  "array file gone": lambda d: biggest(d / "state").unlink(),
  "array file cut": lambda d: cut(biggest(d / "state")),
  "index cut": lambda d: cut(d / "state" / "manifest.ocdbt"),
}


def cut(path):
  """What a full disk or a broken copy leaves."""
  path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


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
    restore(workdir, like(state, layout(1, 1)))
  assert str(workdir / "checkpoints" / "7") in e.value.seen
  assert "delete" in e.value.fix and e.value.key == "--workdir"
  assert len(e.value.screen().splitlines()) <= 6
  assert isinstance(e.value, errors.Damaged)
  del e
  gc.collect()  # of reads that Orbax abandoned: they warn here, not elsewhere
  # The remedy works: the one before is whole.
  shutil.rmtree(workdir / "checkpoints" / "7")
  assert bits(restore(workdir, like(state, layout(1, 1)), 3)) == bits(state)


def test_another_schema_is_refused(saved, tmp_path):
  workdir, state = tmp_path / "run", saved[1]
  shutil.copytree(saved[0], workdir)
  folder = workdir / "checkpoints" / "7"
  path = folder / "meta" / "metadata"
  meta = json.loads(path.read_text()) | {"schema": 99}
  del meta["digest"]
  path.write_text(json.dumps(meta | {"digest": saved_folder.digest(meta)}))
  (folder / saved_folder.SIZES).unlink()
  with pytest.raises(errors.UserError, match="has schema 99"):
    restore(workdir, like(state, layout(1, 1)))


def test_the_config_is_read_back(tmp_path):
  (tmp_path / "config.json").write_text('{"data": {"batch": 8}}')
  assert checkpoint.read_config(tmp_path) == {"data": {"batch": 8}}


def test_git_id_is_one_word():
  root = pathlib.Path(checkpoint.__file__).resolve().parents[2]
  found = version.git_id()
  assert len(found.split()) <= 1
  assert (root / ".git").exists() or found == ""


def newest(workdir, wanted, write=True):
  """(step, state, what was said) of the newest intact checkpoint."""
  said = []
  made = checkpoint.Checkpoints(workdir, write=write)
  try:
    return *fallback.restore(made, wanted, said.append)[:2], said
  finally:
    made.close()


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
  wanted = like(state, layout(1, 1))
  names = [
    p.relative_to(source / "checkpoints" / "7")
    for p in sorted((source / "checkpoints" / "7").glob(pattern))
  ]
  assert names or pattern == "*.txt"
  for i, name in enumerate(names):
    size = (source / "checkpoints" / "7" / name).stat().st_size
    for place in {0, size // 3, size // 2, size - 1}:
      workdir = tmp_path / f"{i}_{place}"
      shutil.copytree(source, workdir)
      path = workdir / "checkpoints" / "7" / name
      data = bytearray(path.read_bytes())
      data[place] ^= 0x11
      path.write_bytes(data)
      step, found, said = newest(workdir, wanted)
      assert bits(found) == bits(state), (name, place)
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
    cut(workdir / "checkpoints" / step / "meta" / "metadata")
  with pytest.raises(errors.Damaged, match="7 cannot be read"):
    newest(workdir, like(state, layout(1, 1)))
  left = {p.name for p in (workdir / "checkpoints").iterdir()}
  assert left == {"3", "7"} and not (workdir / "damaged").exists()


def test_another_model_is_no_damage(saved, tmp_path):
  workdir, state = tmp_path / "run", saved[1]
  shutil.copytree(saved[0], workdir)
  with pytest.raises(errors.UserError, match="another model") as e:
    newest(workdir, like(state | {"step": jnp.zeros(3)}, layout(1, 1)))
  assert not isinstance(e.value, errors.Damaged)


def test_after_falling_back_the_step_can_be_saved_again(saved, tmp_path):
  workdir, state = tmp_path / "run", saved[1]
  shutil.copytree(saved[0], workdir)
  cut(workdir / "checkpoints" / "7" / "meta" / "metadata")
  made = checkpoint.Checkpoints(workdir)
  fallback.restore(made, like(state, layout(1, 1)), lambda text: None)
  made.save(7, state, {})
  made.close()
  assert newest(workdir, like(state, layout(1, 1)), write=False)[0] == 7


@pytest.mark.parametrize("wanted", [jnp.bfloat16, jnp.float16])
def test_floats_come_in_the_dtype_asked_for(saved, wanted):
  state = saved[1]
  kernel = state["params"]["kernel"].astype(wanted)
  other = state | {"params": {"kernel": kernel}}
  found = restore(saved[0], like(other, layout(2)))
  assert bits(found) == bits(other)


def test_another_kind_of_number_is_a_difference(saved):
  state = saved[1] | {"step": jnp.float32(0)}
  with pytest.raises(errors.UserError, match="dtype of step: int32 saved"):
    restore(saved[0], like(state, layout(1, 1)))


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
