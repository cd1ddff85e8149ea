"""Killed five times, a run ends as one that is let alone."""

import json
import pathlib
import re

import pytest

from jmim.runlog import writer as writers
from jmim.tools import crash_test

RECIPE = pathlib.Path(__file__).parent / "crash_recipe.py"


def killed(tmp_path, capfd, *options):
  """(exit code, what was printed)."""
  argv = [f"--config={RECIPE}", f"--workdir={tmp_path}", *options]
  data = tmp_path / "data"
  code = crash_test.main([*argv, f"--config.data.data_dir={data}"])
  return code, capfd.readouterr().out


@pytest.mark.slow
def test_five_kills(tmp_path, capfd):
  code, out = killed(tmp_path, capfd, "--kills=5")
  assert code == 0, out
  assert len(re.findall(r"^kill \d", out, re.M)) == 5
  assert "verdict: 5 kills" in out and "NOT" not in out
  # The comparison sees what it should: a line that is there twice.
  path = tmp_path / "run1" / "metrics.jsonl"
  before = crash_test.fingerprint(tmp_path / "run1")
  path.write_text(path.read_text() + path.read_text().splitlines()[-1] + "\n")
  after = crash_test.fingerprint(tmp_path / "run1")
  assert [n for n in before if before[n] != after[n]] == ["metrics"]
  assert writers.read(tmp_path / "run1")[-1]["step"] == 60


@pytest.mark.slow
def test_a_second_run_workers_and_rollbacks_change_nothing(tmp_path, capfd):
  code, out = killed(
    tmp_path,
    capfd,
    "--kills=4",
    "--second",
    "--config.hardware.data_workers=2",
    "--config.train.spike_policy=rollback",
    "--config.train.spike_z=0.5",
    "--config.train.spike_window=16",
    "--config.train.max_rollbacks=20",
    "--config.optim.lr=0.02",
  )
  assert code == 0, out
  assert re.search(r"second processes: .*\d refused", out)
  skips = json.loads((tmp_path / "whole/skips.json").read_text())
  assert len(skips) >= 2, skips


@pytest.mark.slow
def test_two_processes_of_which_one_is_killed(tmp_path, capfd):
  code, out = killed(
    tmp_path,
    capfd,
    "--kills=2",
    "--processes=2",
    "--config.hardware.host_timeout=60",
  )
  assert code == 0, out
  assert "others ended after" in out


def test_a_run_that_fails_is_no_success(tmp_path, capfd):
  code, out = killed(tmp_path, capfd, "--config.train.total_stepz=3")
  assert code == 1 and "exit codes [2]" in out
