"""Runs that are stopped, starved of disk space, spoilt: what they end as."""

import errno
import json

import numpy as np
import pytest
import tinyrun

from jmim.checkpoints import store as checkpoint
from jmim.core import errors
from jmim.data import feed
from jmim.modes import replay
from jmim.modes import train
from jmim.runlog import writer
from jmim.session import skips
from jmim.session import spikes
from jmim.session import stopping
from jmim.session.hooks import evaluate


@pytest.fixture(scope="session")
def config(digits_home):
  return tinyrun.toy(digits_home)


@pytest.fixture(scope="session")
def whole(config, tmp_path_factory):
  """(workdir, final state) of a run that nothing happened to."""
  workdir = tmp_path_factory.mktemp("whole")
  train.run(config, workdir)
  return workdir, tinyrun.final_state(workdir, config)


def assert_same(workdir, config, whole):
  """Bit by bit: state, metrics.jsonl, TensorBoard."""
  assert tinyrun.lines(workdir) == tinyrun.lines(whole[0])
  assert tinyrun.board(workdir) == tinyrun.board(whole[0])
  for name, leaf in tinyrun.final_state(workdir, config).items():
    np.testing.assert_array_equal(leaf, whole[1][name], name)


def signal_at(monkeypatch, *steps):
  """Has signals come after these steps."""
  due_at = list(steps)

  def due(self, step):
    if due_at and step >= due_at[0]:
      self.signal = "SIGTERM"
      due_at.pop(0)
      return True
    return False

  monkeypatch.setattr(stopping.Stop, "due", due)


def test_stopped_twice_is_as_never_stopped(
  config, whole, tmp_path, monkeypatch
):
  # At 3 there is no checkpoint due; at 4 there is, and an evaluation too.
  signal_at(monkeypatch, 3, 4)
  for step in (3, 4):
    with pytest.raises(errors.Preempted, match=f"SIGTERM at step {step}"):
      train.run(config, tmp_path)
    assert checkpoint.Checkpoints(tmp_path, write=False).latest() == step
  train.run(config, tmp_path)
  assert_same(tmp_path, config, whole)


def test_stopped_in_an_evaluation(config, whole, tmp_path, monkeypatch):
  with monkeypatch.context() as patch:

    def run(self, names, state):
      raise stopping.Signalled  # what a signal does there

    patch.setattr(evaluate.Evaluate, "run", run)
    with pytest.raises(errors.Preempted):
      train.run(config, tmp_path)
  train.run(config, tmp_path)
  assert_same(tmp_path, config, whole)


def test_damaged_and_resumed_from_the_one_before(
  config, whole, tmp_path, capsys
):
  train.run(tinyrun.small(config, keep=("loss",)), tmp_path)
  for path in (tmp_path / "checkpoints" / "8" / "state").rglob("d/*"):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
  capsys.readouterr()
  train.run(config, tmp_path)
  shown = capsys.readouterr().out
  assert "checkpoint 8 is damaged" in shown and "resumed from step 4" in shown
  assert_same(tmp_path, config, whole)


def full(monkeypatch, fails):
  """Has checkpoints fail as on a full disk while `fails(step)`."""
  save = checkpoint.Checkpoints.save

  def saved(self, step, state, meta):
    if fails(step):
      raise errors.NotSaved(str(OSError(errno.ENOSPC, "no space left")))
    save(self, step, state, meta)

  monkeypatch.setattr(checkpoint.Checkpoints, "save", saved)


def test_a_full_disk_is_waited_for(
  config, whole, tmp_path, monkeypatch, capsys
):
  full(monkeypatch, lambda step: 4 <= step < 6)
  train.run(config, tmp_path)
  shown = capsys.readouterr().out
  assert shown.count("CANNOT WRITE checkpoint") == 2  # at 4 and at 5
  assert checkpoint.Checkpoints(tmp_path, write=False).steps() == [6, 8]
  assert_same(tmp_path, config, whole)


def test_a_disk_that_stays_full_ends_the_run(
  config, whole, tmp_path, monkeypatch
):
  with monkeypatch.context() as patch:
    full(patch, lambda step: step > 4)
    patch.setattr("time.sleep", lambda seconds: None)
    with pytest.raises(errors.NotSaved, match="newest checkpoint is that of"):
      train.run(config, tmp_path)
  train.run(config, tmp_path)
  assert_same(tmp_path, config, whole)


def test_a_step_can_be_done_again(config, whole):
  logged = {x["step"]: x for x in tinyrun.lines(whole[0]) if "lr" in x}
  before = (whole[0] / "metrics.jsonl").read_text()
  for step in (6, 8):  # the checkpoint of 8 is not used for either
    found = replay.run(config, whole[0], step)
    assert (
      found["metrics"]["loss/generator"] == (logged[step]["loss/generator"])
    )
    assert found["not_finite"] == [] and len(found["examples"]) == 32
  assert (whole[0] / "metrics.jsonl").read_text() == before
  with pytest.raises(errors.UserError, match="no checkpoint before step 4"):
    replay.run(config, whole[0], 4)


def test_a_diverged_run_says_which_leaves_and_examples(config, tmp_path):
  bad = tinyrun.small(config, max_skips=2, total_steps=9, log_steps=2)
  bad.data.std = (1e-38,)  # overflows in the loss
  with pytest.raises(errors.Diverged, match="steps 1 to 2.*grads/") as e:
    train.run(bad, tmp_path)
  assert "from the first step on" in str(e.value)
  report = json.loads((tmp_path / "diverged.json").read_text())
  assert report["steps"] == [1, 2] and any(
    name.startswith("metrics/loss") for name in report["not_finite"]
  )
  assert [len(x) for x in report["examples"].values()] == [32, 32]


def test_a_divergence_pushes_no_good_checkpoint_out(
  config, tmp_path, monkeypatch
):
  """Steps 5 on go wrong, whatever the steps between two log lines are."""
  bad = tinyrun.small(
    config, total_steps=40, checkpoint_steps=2, log_steps=40, max_skips=6
  )
  spoil = feed.batches

  def spoilt(*args, start=0, **kwargs):
    for i, batch in enumerate(spoil(*args, start=start, **kwargs), start):
      wrong = i >= 4
      yield {
        k: x * float("nan") if wrong else x * 1.0 for k, x in batch.items()
      }

  with monkeypatch.context() as patch:
    patch.setattr(feed, "batches", spoilt)
    with pytest.raises(errors.Diverged, match=r"\(steps 5 to 1\d\)") as e:
      train.run(bad, tmp_path)
    assert checkpoint.Checkpoints(tmp_path, write=False).steps() == [2, 4]
    assert "--replay_step=5, which goes on from checkpoint 4" in str(e.value)
    found = replay.run(bad, tmp_path, 5)
    assert found["not_finite"]
  train.run(tinyrun.small(bad, total_steps=8), tmp_path)  # and is done
  assert checkpoint.Checkpoints(tmp_path, write=False).steps() == [6, 8]


def test_a_rollback_skips_the_window_and_survives_a_kill(
  config, tmp_path, monkeypatch
):
  config = tinyrun.small(
    config,
    keep=("loss",),
    total_steps=12,
    spike_z=8.0,
    spike_policy="rollback",
    log_steps=2,
  )
  calls = []
  update = spikes.Detector.update

  def spiked(self, losses):
    calls.append(len(losses))
    update(self, losses)
    return [(0, 99.0)] if len(calls) == 3 else []  # step 5, seen at step 6

  monkeypatch.setattr(spikes.Detector, "update", spiked)
  train.run(config, tmp_path / "whole")
  assert skips.read(tmp_path / "whole") == [[4, 2]]
  meta = checkpoint.Checkpoints(tmp_path / "whole", write=False).meta(12)
  assert meta["position"] == 14
  steps = [x["step"] for x in writer.read(tmp_path / "whole") if "lr" in x]
  assert steps == [2, 4, 6, 8, 10, 12]
  calls.clear()
  signal_at(monkeypatch, 7, 9)  # after the rollback, and once more
  for _ in range(2):
    with pytest.raises(errors.Preempted):
      train.run(config, tmp_path / "cut")
    calls += [0] * 3  # the spike came once
  train.run(config, tmp_path / "cut")
  state = tinyrun.final_state(tmp_path / "whole", config)
  assert_same(tmp_path / "cut", config, (tmp_path / "whole", state))
