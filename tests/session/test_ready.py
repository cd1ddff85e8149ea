"""From a session to a run whose next step can be done."""

import dataclasses
import json
import logging
import shutil

import jax
import pytest

from jmim.checkpoints import store as checkpoint
from jmim.core import config as configs
from jmim.core import errors
from jmim.session import loop as loops
from jmim.session import ready as readiness
from jmim.session import session as sessions
from jmim.session import skips
from jmim.session.hooks import save
from jmim.session.hooks import spike


def test_a_fresh_run_skips_nothing_that_an_old_one_did(toy, tmp_path):
  """Its checkpoints were deleted, the file that counts its rollbacks not."""
  skips.add(tmp_path, 1, 3)
  with sessions.open(toy, tmp_path) as session:
    ready = readiness.prepare(session)
    assert ready.batches.skips == [] and ready.batches.position(2) == 2
  assert skips.read(tmp_path) == []


def test_a_fresh_run_is_ready_for_its_first_step(toy, tmp_path):
  with sessions.open(toy, tmp_path) as session:
    ready = readiness.prepare(session)
    assert ready.point.step == 0 and ready.writer is not None
    batch = next(ready.batches)
    state, _ = ready.compiled(ready.point.state, {}, batch)
    assert int(state.step) == 1
    window, counted = ready.no_sums()
    assert set(window) == set(state.window) and int(counted) == 0
    assert not any(map(float, window.values()))
    assert ready.facts.flops > 0 and "FLOP/s" in ready.facts.peak_text
    with pytest.raises(dataclasses.FrozenInstanceError):
      ready.batches = None
  config = json.loads((tmp_path / "config.json").read_text())
  assert config["method"]["latent"] == 3  # complete
  notes = json.loads((tmp_path / "run.json").read_text())
  assert [x["step"] for x in notes["starts"]] == [0]
  facts = json.loads((tmp_path / "data.json").read_text())
  assert facts["train"]["examples"] == 1397 and facts["num_classes"] == 10


def test_a_run_that_is_there_goes_on_and_names_what_changed(
  toy, trained, capsys
):
  config = configs.override(toy, ["optim.lr=0.5"])
  with sessions.open(config, trained, write=False) as session:
    ready = readiness.prepare(session)
  assert ready.point.step == 4 and ready.writer is None
  shown = capsys.readouterr().out
  assert "resumed from step 4" in shown
  assert "changed" not in shown  # by who does not write


def test_nothing_that_is_there_changes_before_all_has_passed(toy, tmp_path):
  config = configs.override(toy, [f"init_from.path={tmp_path / 'nowhere'}"])
  with pytest.raises(errors.UserError) as e:
    with sessions.open(config, tmp_path / "run") as session:
      readiness.prepare(session)
  assert e.value.key == "init_from.path"
  assert not (tmp_path / "run" / "config.json").exists()
  assert not (tmp_path / "run" / "metrics.jsonl").exists()


def test_the_first_save_waits_for_no_compiler(toy, tmp_path, caplog):
  config = configs.override(toy, ["method.latent=5"])  # of no other test
  with sessions.open(config, tmp_path) as session:
    ready = readiness.prepare(session)
    loop = loops.make(session, ready)
    spikes = spike.Spikes(session, ready, loop)
    saves = save.Save(session, ready, loop, spikes)
    with jax.log_compiles(), caplog.at_level(logging.WARNING):
      saves.finish(1)
  assert checkpoint.Checkpoints(tmp_path, write=False).steps() == [1]
  assert not [x for x in caplog.messages if "jit(sums)" in x]


def test_the_losses_of_a_checkpoint_are_those_to_compare_with(toy, tmp_path):
  config = configs.override(toy, ["train.spike_z=8.0"])
  with sessions.open(config, tmp_path) as session:
    state = readiness.prepare(session).point.state
    session.keeper.save_and_wait(2, state, {"losses": [0.5, 0.25]}, None)
  with sessions.open(config, tmp_path) as session:
    point = readiness.prepare(session).point
  assert point.step == 2 and point.losses == (0.5, 0.25)


@pytest.mark.parametrize("write, step", [(True, 2), (False, 4)])
def test_a_rollback_that_was_killed_is_ended(
  toy, trained, tmp_path, capsys, write, step
):
  """Its window was written down; the checkpoint of 4 was still to go."""
  run = shutil.copytree(trained, tmp_path / "run")
  skips.add(run, 2, 3)
  with sessions.open(toy, run, write=write) as session:
    ready = readiness.prepare(session)
    assert ready.point.step == step
    assert ready.batches.position(step) == (5 if write else 4)
    assert session.keeper.store.steps() == ([2] if write else [2, 4])
  assert ("cut short" in capsys.readouterr().out) == write


@pytest.mark.parametrize("window", [(1, 3), (2, 1)])
def test_a_rollback_of_long_ago_is_none(toy, trained, tmp_path, window):
  """The first went where no checkpoint is, the run went on after the other."""
  run = shutil.copytree(trained, tmp_path / "run")
  skips.add(run, *window)
  with sessions.open(toy, run) as session:
    assert readiness.prepare(session).point.step == 4
    assert session.keeper.store.steps() == [2, 4]
