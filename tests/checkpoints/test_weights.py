"""Weights of a checkpoint without the rest."""

import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.checkpoints import store as checkpoint
from jmim.checkpoints import weights
from jmim.core import errors
from jmim.core import state as states


def state(shift, ema=True):
  zero = jnp.zeros((), jnp.int32)
  params = {"main": {"kernel": jnp.arange(6.0).reshape(2, 3) + shift}}
  return states.State(
    step=zero + 3,
    params=params,
    opt={"main": {"mu": jnp.ones(6)}},
    ema=jax.tree.map(lambda x: 2 * x, params) if ema else {},
    extra={"count": zero + 5},
    window={"loss": jnp.zeros(())},
    counted=zero + 1,
    skipped=zero,
    skipped_total=zero,
  )


def shapes(made):
  one = jax.sharding.SingleDeviceSharding(jax.devices()[0])
  return jax.tree.map(
    lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=one), made
  )


@pytest.fixture
def store(tmp_path):
  made = checkpoint.Checkpoints(tmp_path)
  for step, ema in ((2, True), (4, False)):
    made.save(step, state(step, ema), {})
  made.wait()
  yield made
  made.close()


def test_the_newest_and_the_newest_before_a_step(store):
  assert weights.newest(store) == 4
  assert weights.newest(store, before=4) == 2
  with pytest.raises(
    errors.UserError, match="no checkpoint before step 2"
  ) as e:
    weights.newest(store, before=2)
  assert "--mode=train first" in e.value.fix


def test_what_is_looked_at_has_no_optimizer(store):
  found = weights.restore(store, 2, shapes(state(0)))
  kernel = np.arange(6.0).reshape(2, 3) + 2
  np.testing.assert_array_equal(found.params["main"]["kernel"], kernel)
  np.testing.assert_array_equal(found.ema["main"]["kernel"], 2 * kernel)
  assert (found.step, found.extra["count"], found.opt) == (2, 5, {})


def test_without_an_ema_there_the_parameters_are_it(store):
  found = weights.restore(store, 4, shapes(state(0)))
  np.testing.assert_array_equal(
    found.ema["main"]["kernel"], found.params["main"]["kernel"]
  )


def test_one_section_or_one_leaf_is_read_alone(store):
  section = weights.section(store, 2, "ema")
  assert list(section) == ["main/kernel"]
  leaf = weights.leaf(store, 2, "params/main/kernel")
  np.testing.assert_array_equal(2 * leaf, section["main/kernel"])
  with pytest.raises(FileNotFoundError, match="no ema"):
    weights.section(store, 4, "ema")


def test_the_section_of_a_workdir_is_that_of_its_newest(store, tmp_path):
  found = weights.read_section(tmp_path, "params")
  assert found["main/kernel"][0, 0] == 4
  with pytest.raises(FileNotFoundError, match="no checkpoint"):
    weights.read_section(tmp_path / "nowhere", "params")


def test_of_converted_weights_the_ema_is_what_was_converted(tmp_path):
  """So that a recipe may name a run of ours, or the authors' weights."""
  made = checkpoint.Checkpoints(tmp_path)
  made.save(0, state(0, ema=False), {})
  made.close()
  raw, mean = (weights.read_section(tmp_path, n) for n in ("params", "ema"))
  np.testing.assert_array_equal(mean["main/kernel"], raw["main/kernel"])


def test_converted_weights_are_not_trained_in_place(tmp_path):
  made = checkpoint.Checkpoints(tmp_path)
  weights.check_trainable(made)
  made.save(0, state(0), {})
  made.wait()
  with pytest.raises(errors.UserError, match="converted weights") as e:
    weights.check_trainable(made)
  made.close()
  assert "init_from.path" in e.value.fix


def test_all_of_a_checkpoint_is_verified(saved, tmp_path):
  workdir = shutil.copytree(saved[0], tmp_path / "run")
  store = checkpoint.Checkpoints(workdir, write=False)
  weights.verify(store, 7)
  path = max(
    (workdir / "checkpoints/7/state").rglob("d/*"),
    key=lambda p: p.stat().st_size,
  )
  data = bytearray(path.read_bytes())
  data[len(data) // 2] ^= 1
  path.write_bytes(data)
  with pytest.raises(errors.Damaged):
    weights.verify(store, 7)
  store.close()


def test_parts_of_a_run_that_goes_on_are_of_one_step(tmp_path, monkeypatch):
  """It saves while they are read, and deletes what was begun with."""
  store, section = checkpoint.Checkpoints(tmp_path, 1), weights.section
  save = lambda step: (store.save(step, state(step), {}), store.wait())
  save(2)
  read = []

  def slow(reader, step, name):
    found = section(reader, step, name)
    read.append((step, name))
    if len(read) == 1:
      save(4)
      shutil.rmtree(tmp_path / "checkpoints" / "2")
    return found

  monkeypatch.setattr(weights, "section", slow)
  found = weights.read_sections(tmp_path, "params", "extra", "none")
  store.close()
  assert read == [(2, "params"), (4, "params"), (4, "extra")]
  kernel = np.arange(6.0).reshape(2, 3) + 4
  np.testing.assert_array_equal(found["params"]["main/kernel"], kernel)
  assert found["extra"]["count"] == 5 and found["none"] == {}
