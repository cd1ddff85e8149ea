"""A run beside the config that it is looked at with."""

import json
import shutil

import pytest

from jmim.core import config as configs
from jmim.core import errors
from jmim.session import session as sessions
from jmim.session import trained


def look(config, workdir, *items, allow=False):
  """Checks a run with a config that was changed."""
  config = configs.override(config, items)
  with sessions.open(config, workdir, write=False) as session:
    trained.check(session, allow)
    return trained.is_finished(session)


def with_loss(config):
  """The config with an evaluator."""
  config = configs.override(config, [])
  config.evals = configs.section(loss=configs.section(type="loss"))
  return config


@pytest.fixture
def run(request, tmp_path):
  """A copy of the workdir of four steps."""
  return shutil.copytree(request.getfixturevalue("trained"), tmp_path / "run")


def test_the_same_config_says_nothing(toy, run, capsys):
  assert look(toy, run)
  assert "changed" not in capsys.readouterr().out


def test_what_is_asked_anew_each_time_is_no_change(toy, run, capsys):
  items = ("sample.num=3", "hardware.prefetch=5", "logging.wandb_mode=offline")
  assert look(toy, run, *items)
  assert "changed" not in capsys.readouterr().out


def test_differences_are_printed_and_pixels_refused(toy, run, capsys):
  with sessions.open(
    configs.override(toy, ["seed=3"]), run, write=False
  ) as session:
    trained.check(session)
  assert "changed: seed: 0 -> 3" in capsys.readouterr().out
  with pytest.raises(errors.UserError, match="data.mean: .0.5. -> .0.25.") as e:
    look(toy, run, "data.mean=(0.25,)")
  assert e.value.key == "data.mean" and "--allow_changes" in e.value.fix


def test_without_the_config_of_the_run_it_says_so(toy, run, capsys):
  (run / "config.json").unlink()
  assert look(toy, run)
  assert "nothing to compare" in capsys.readouterr().out


def test_a_run_is_finished_when_nothing_is_left(toy, run, tmp_path):
  def finished(*items, workdir=run):
    config = configs.override(toy, items)
    with sessions.open(config, workdir, write=False) as session:
      return trained.is_finished(session)

  assert finished()
  assert not finished("train.total_steps=6")
  assert not finished("train.total_steps=6", "optim.lr=0.5")
  assert not finished(workdir=tmp_path / "new")
  for item in ("optim.lr=0.5", "train.total_steps=3", "data.mean=(0.1,)"):
    with pytest.raises(errors.UserError, match="is finished, after 4 steps"):
      finished(item)
  toy = with_loss(toy)
  with pytest.raises(errors.UserError, match="evals.loss.type: None -> loss"):
    finished()


def test_an_evaluator_that_did_not_end_is_left(toy, run):
  path = run / "config.json"
  stored = json.loads(path.read_text(encoding="utf-8"))
  config = with_loss(toy)
  with sessions.open(config, run, write=False) as session:
    stored["evals"] = json.loads(session.parts.config.to_json())["evals"]
    path.write_text(json.dumps(stored), encoding="utf-8")
    assert not trained.is_finished(session)
    with (run / "metrics.jsonl").open("a", encoding="utf-8") as file:
      file.write(json.dumps({"step": 4, "eval": "loss"}) + "\n")
    assert trained.is_finished(session)


def test_a_damaged_last_checkpoint_is_not_the_end(toy, run):
  next((run / "checkpoints/4/state").rglob("d/*")).unlink()
  with sessions.open(toy, run, write=False) as session:
    assert not trained.is_finished(session)
