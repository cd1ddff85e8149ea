"""--mode=eval on runs of a tiny MAE."""

import pytest
import stuckkit
import tinyrun

from jmim.checkpoints import intact
from jmim.core import errors
from jmim.data import pipeline
from jmim.evals.lib import devices
from jmim.modes import evaluate
from jmim.modes import train
from jmim.runlog import writer


@pytest.fixture(scope="module")
def recipe(digits_home):
  return tinyrun.recipe(digits_home)


def test_eval_mode_reads_a_checkpoint_and_leaves_the_run_alone(
  recipe, tmp_path, capsys
):
  train.run(tinyrun.small(recipe, total_steps=2), tmp_path)
  before = (tmp_path / "metrics.jsonl").read_text()
  capsys.readouterr()
  evaluate.run(recipe, tmp_path)
  shown = capsys.readouterr().out
  assert "Evaluation at step 2" in shown and "knn/top1" in shown
  named = [shown.index(f"evaluating {name} (") for name in recipe.evals]
  assert named == sorted(named)
  assert (tmp_path / "metrics.jsonl").read_text() == before
  assert not list((tmp_path / "images").iterdir())
  kept = writer.read(tmp_path / "eval")
  assert {x["eval"] for x in kept} == set(recipe.evals)
  assert all(x["protocol"]["data.size"] == 8 for x in kept)
  assert (tmp_path / "eval/images/recon_sheet_00000002.png").is_file()


def test_eval_mode_without_a_checkpoint(recipe, tmp_path):
  with pytest.raises(errors.UserError, match="no checkpoint"):
    evaluate.run(recipe, tmp_path)


@pytest.fixture(scope="module")
def trained(recipe, tmp_path_factory):
  """(config, workdir) of a run of two steps."""
  config = tinyrun.small(recipe, keep=("loss", "recon"), total_steps=2)
  workdir = tmp_path_factory.mktemp("trained")
  train.run(config, workdir)
  return config, workdir


def a_checkpoint(kennel, patch):
  patch.setattr(intact, "restore", kennel.never_returns)


def a_first_batch(kennel, patch):
  items = kennel.items_after(0, pipeline.evaluation_batches)
  patch.setattr(pipeline, "evaluation_batches", items)


def a_batch(kennel, patch):
  items = kennel.items_after(2, pipeline.evaluation_batches)
  patch.setattr(pipeline, "evaluation_batches", items)


def a_device(kennel, patch):
  jit = devices.Devices.jit
  after = lambda self, fn: kennel.after(1, jit(self, fn))
  patch.setattr(devices.Devices, "jit", after)


def a_picture(kennel, patch):
  patch.setattr(writer.Writer, "image", kennel.never_returns)


@pytest.mark.parametrize(
  "stuck, what, limit",
  [
    (
      a_checkpoint,
      "no restore for 1 s, waiting for a checkpoint to be read",
      8,
    ),
    (a_first_batch, "no first batch for 1 s, waiting for a batch (the", 8),
    (a_batch, "no batch for 0 s, waiting for a batch (the", 1),
    (a_device, "no output <loss> for 1 s, waiting for the devices", 8),
    (a_picture, "no file for 1 s, waiting for results to be written", 8),
  ],
)
def test_what_is_stuck_ends_it(trained, monkeypatch, capfd, stuck, what, limit):
  kennel = stuckkit.kennel(monkeypatch)
  stuck(kennel, monkeypatch)
  with pytest.raises(stuckkit.Bitten):
    evaluate.run(*trained)
  said = capfd.readouterr().err
  assert set(kennel.codes) == {5} and kennel.limits[0] == limit
  assert what in said and "in never_returns" in said


def test_what_nobody_knows_the_length_of_has_a_day(trained, monkeypatch):
  """A program that is compiled; a head that is fitted."""
  kennel, seen = stuckkit.kennel(monkeypatch), []
  jit = devices.Devices.jit

  def compiled(self, fn):
    made = jit(self, fn)

    def call(*args):
      seen.append(kennel.limit())
      return made(*args)

    return call

  monkeypatch.setattr(devices.Devices, "jit", compiled)
  evaluate.run(*trained)
  day = 24 * 3600 / kennel.unit
  assert seen[:2] == [day, 8] and not kennel.codes
