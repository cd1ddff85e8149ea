"""Checkpoints of a run whose disk fails now and then."""

import jax.numpy as jnp
import pytest

from jmim.checkpoints import keeper as keepers
from jmim.core import config as configs
from jmim.core import errors
from jmim.runlog import writer as writers

STATE = {"params": {"w": jnp.arange(4.0)}}


def make(workdir, every=0, **train):
  """(keeper, its warnings)."""
  config, warnings = configs.base(), []
  config.train.update(max_failures=3, **train)
  return keepers.Keeper(workdir, config.train, every, warnings.append), warnings


def test_a_folder_that_is_gone_is_waited_for(tmp_path):
  workdir = tmp_path / "run"
  keeper, warnings = make(workdir)
  writer = writers.Writer(workdir, 0, keeper.failed)
  keeper.save(1, STATE, {}, writer)
  keeper.wait()
  workdir.rename(tmp_path / "away")
  keeper.save(2, STATE, {}, writer)
  keeper.save(3, STATE, {}, writer)
  assert (
    keeper.retry_due and len(warnings) == 2 and "CANNOT WRITE" in warnings[1]
  )
  assert not workdir.exists()  # nothing is written into nowhere
  (tmp_path / "away").rename(workdir)
  keeper.save(4, STATE, {}, writer)
  keeper.wait()
  assert not keeper.retry_due and keeper.store.steps() == [1, 4]
  keeper.store.close()
  writer.close()


def test_three_failures_in_a_row_are_too_many(tmp_path):
  keeper, warnings = make(tmp_path)
  error = OSError("disk full")
  keeper.failed(error, "checkpoint")
  keeper.failed(error, "metrics")
  keeper.failed(error, "checkpoint")
  keeper.save(1, STATE, {}, None)
  keeper.wait()  # it worked: the count begins anew
  keeper.failed(error, "checkpoint")
  keeper.failed(error, "checkpoint")
  with pytest.raises(errors.NotSaved, match="that of step 1.*max_failures"):
    keeper.failed(error, "checkpoint")
  keeper.store.close()


def test_what_fails_in_the_background_is_noticed(tmp_path, monkeypatch):
  keeper, warnings = make(tmp_path)
  manager = keeper.store._manager

  def broken():
    raise OSError("disk full")

  monkeypatch.setattr(manager, "check_for_errors", broken)
  keeper.check(None)
  assert keeper.retry_due and "disk full" in warnings[0]
  keeper.save(1, STATE, {}, None)
  keeper.wait()
  assert keeper.store.steps() == [1] and not keeper.retry_due
  keeper.store.close()


def test_it_waits_until_it_has_saved_or_says_that_it_cannot(
  tmp_path, monkeypatch
):
  keeper, warnings = make(tmp_path)
  save, pauses, left = keeper.store.save, [], [1, 1]

  def sometimes(*args):
    if left:
      left.pop()
      raise errors.NotSaved("disk full")
    save(*args)

  monkeypatch.setattr(keeper.store, "save", sometimes)
  keeper.save_and_wait(5, STATE, {}, None, pause=pauses.append)
  assert keeper.store.steps() == [5] and pauses == [1, 2]
  left[:] = [1] * 9
  with pytest.raises(errors.NotSaved, match="3 writes"):
    keeper.save_and_wait(6, STATE, {}, None, pause=pauses.append)
  keeper.store.close()


@pytest.mark.parametrize("name, best", [("knn/top1", 2), ("-loss/loss", 3)])
def test_the_best_and_every_fifth_stay(tmp_path, name, best):
  values = {1: (3.0, 9.0), 2: (8.0, 9.0), 3: (3.0, 1.0), 5: (1.0, 2.0)}
  keeper, _ = make(tmp_path, every=5, keep=1, keep_best=name)
  writer = writers.Writer(tmp_path)
  for step in range(1, 8):
    keeper.save(step, STATE, {}, writer)
    if step in values:
      numbers = dict(zip(("knn/top1", "loss/loss"), values[step], strict=True))
      keeper.record_metric(step, numbers)
      writer.scalars(step, numbers, eval="x")
  keeper.store.close()
  assert {p.name for p in keeper.store.path.iterdir()} == {str(best), "5", "7"}
  writer.close()
  again, _ = make(tmp_path, every=5, keep=1, keep_best=name)
  again.save(8, STATE, {}, None)
  again.store.close()  # the best is remembered from metrics.jsonl
  assert again.store.path.joinpath(str(best)).is_dir()


def test_a_rollback_forgets_what_came_after(tmp_path):
  keeper, _ = make(tmp_path, keep=9, keep_best="a")
  for step in (1, 2, 3):
    keeper.save(step, STATE, {}, None)
    keeper.record_metric(step, {"a": step})
  keeper.roll_back(1)
  assert keeper.store.steps() == [1] and keeper._values == {1: 1.0}
  keeper.save(2, STATE, {}, None)
  keeper.store.close()
  assert keeper.store.path.joinpath("2").is_dir()
