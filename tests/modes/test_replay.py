"""One step of a run again."""

import pytest
import tinyrun

from jmim.core import errors
from jmim.modes import replay
from jmim.modes import train


@pytest.fixture(scope="module")
def run(tmp_path_factory, digits_home):
  """(config, workdir) of four steps of a toy, with checkpoints at 2 and 4."""
  root = tmp_path_factory.mktemp("run")
  config = tinyrun.toy(digits_home)
  config = tinyrun.small(config, total_steps=4, checkpoint_steps=2)
  train.run(config, root / "run")
  return config, root / "run"


@pytest.mark.parametrize("step", [3, 4])
def test_it_has_the_metrics_of_the_step_that_was(run, step, capsys):
  config, workdir = run
  logged = {x["step"]: x for x in tinyrun.lines(workdir)}[step]
  report = replay.run(config, workdir, step)
  names = ("loss/generator", "grad_norm/discriminator")
  assert {n: report["metrics"][n] for n in names} == {
    n: logged[n] for n in names
  }
  shown = capsys.readouterr().out
  assert f"Step {step} again" in shown and "nothing" in shown
  assert len(set(report["examples"])) == config.data.batch


def test_what_is_not_finite_is_listed(run, capsys):
  config, workdir = run
  broken = tinyrun.small(config)
  broken.data.std = (1e-38,)
  report = replay.run(broken, workdir, 3, allow_changes=True)
  assert "metrics/loss/discriminator" in report["not_finite"]
  assert "grads/discriminator/dense/kernel" in report["not_finite"]


def test_nothing_is_written(run):
  config, workdir = run
  before = {p: p.stat().st_mtime_ns for p in workdir.rglob("*")}
  replay.run(config, workdir, 3)
  with pytest.raises(errors.UserError, match="no checkpoint before step 2"):
    replay.run(config, workdir, 2)
  assert {p: p.stat().st_mtime_ns for p in workdir.rglob("*")} == before
