"""Runs from Python, in process."""

import json

import numpy as np
import pytest
import tinyrun

import jmim
from jmim.core import errors
from jmim.core import run_config


@pytest.fixture(scope="module")
def heard():
  return {"log": [], "eval": []}


@pytest.fixture(scope="module")
def run(tmp_path_factory, heard):
  """A toy run of 8 steps that was trained to 4, then resumed."""
  config = tinyrun.toy(str(tmp_path_factory.mktemp("data")))
  config.train.total_steps = 4
  config.evals.probe = None  # no evaluator at all
  how = {
    "on_log": heard["log"].append,
    "on_eval": heard["eval"].append,
    "quiet": True,
  }
  made = jmim.train(config, tmp_path_factory.mktemp("run") / "toy", **how)
  return made.resume("train.total_steps=8", **how)


def test_each_line_is_heard_once(run, heard):
  assert [line["step"] for line in heard["log"]] == [*range(1, 9)]
  assert [line["step"] for line in heard["eval"]] == [4, 8]
  assert {line["eval"] for line in heard["eval"]} == {"loss"}
  stored = [json.loads(json.dumps(line)) for line in heard["log"]]
  assert stored == [line for line in run.lines if "eval" not in line]


def test_metrics_are_arrays(run):
  loss = run.metrics["loss/generator"]
  assert loss.step.tolist() == [*range(1, 9)] and loss.value.shape == (8,)
  assert (np.diff(loss.time) >= 0).all() and (np.diff(loss.epoch) > 0).all()
  assert loss.last == loss.value[-1] and np.isfinite(loss.value).all()
  held_out = run.metrics["loss/loss/generator"]
  assert held_out.step.tolist() == [4, 8]
  assert run.results["loss/loss/generator"] == held_out.last
  assert not {"loss/generator", "lr"} & set(run.results)
  assert not {"time", "step", "reads"} & set(run.metrics)


def test_a_run_is_found_by_its_folder(run):
  again = jmim.run(run.workdir)
  assert again.config.train.total_steps == 8 and again.report.is_file()
  assert again.config.to_json() == run_config.load(run.workdir).to_json()
  with pytest.raises(errors.UserError, match="metrics.jsonl"):
    _ = jmim.run(run.workdir / "nothing").metrics


def test_it_is_evaluated(run, capsys):
  found = run.evaluate("evals.loss.limit=64")
  assert found["loss/examples"] == 64
  assert "Evaluation at step 8" in capsys.readouterr().out


def test_it_is_loaded_and_a_listener_may_end_a_run(run, tmp_path):
  assert run.load().method.size == 8

  class Enough(Exception):
    pass

  def stop(line):
    if line["step"] == 2:
      raise Enough

  with pytest.raises(Enough):
    jmim.train(run.config, tmp_path / "cut", on_log=stop, quiet=True)
  whole = jmim.train(run.config, tmp_path / "cut", quiet=True)
  assert whole.metrics["lr"].step.tolist() == [*range(1, 9)]


def test_recipes_by_name_with_keys():
  config = jmim.recipe("mae_digits:steps=7", "optim.lr=0.5", "evals=None")
  assert config.train.total_steps == 7 and config.optim.lr == 0.5
  assert not config.evals
  with pytest.raises(errors.UserError, match="optim.lrr"):
    jmim.recipe("mae_digits", "optim.lrr=1")
