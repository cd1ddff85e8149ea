"""--mode=dry_run on simulated devices; with the TPU compiler where it is."""

import importlib.util
import json
import math
import os
import pathlib
import subprocess
import sys

import jax
import pytest
import tinyrun

from jmim.core import config as configs
from jmim.core import errors
from jmim.modes import dry_run
from jmim.parallel import topology
from jmim.session import aot

ROOT = pathlib.Path(__file__).resolve().parents[2]


def recipe(*items):
  return configs.override(tinyrun.recipe("nowhere"), items)


def test_the_report_is_printed_and_written(tmp_path, capsys):
  config = configs.override(tinyrun.toy("nowhere"), ["data.batch=16"])
  made = dry_run.report(config, jax.devices()[:2], out=tmp_path)
  assert "toys: " in capsys.readouterr().out
  written = json.loads((tmp_path / "dry_run.json").read_text())
  assert written == json.loads(json.dumps(made))
  assert made["batch"] == 16 and made["devices"] == 2


def test_the_flags_of_the_mode_choose_the_chips(tmp_path, monkeypatch):
  calls = []
  monkeypatch.setattr(topology, "prepare", lambda name: calls.append(name))
  monkeypatch.setattr(
    dry_run, "report", lambda *args, **options: calls.append((args, options))
  )
  config, more = recipe(), {"slices": 1, "tune": True}
  dry_run.run(config, tmp_path / "out", topology="cpu:4", **more)
  name, ((given, devices), options) = calls
  assert name == "cpu:4" and given is config and len(devices) == 4
  assert options == {"slices": 1, "out": tmp_path / "out", "tune": True}
  with pytest.raises(errors.UserError, match="without --topology"):
    dry_run.run(config, None, topology=None, **more)
  (tmp_path / "file").touch()
  with pytest.raises(errors.UserError) as e:
    dry_run.run(config, tmp_path / "file", topology="cpu:4", **more)
  assert e.value.key == "--workdir"


def test_tuning_prints_what_was_tried(capsys, monkeypatch):
  tried = ({}, {"hardware.remat": "full"}, {"optim.accumulate": 3})
  monkeypatch.setattr(dry_run, "TRIED", tried)
  config = configs.override(tinyrun.toy("nowhere"), ["data.batch=16"])
  best = dry_run.report(config, jax.devices()[:2], tune=True)
  shown = capsys.readouterr().out
  for name in ("as it is", "remat=full", "accumulate=3", "with this data.ba"):
    assert name in shown
  assert f"best: {' '.join(best['tuned']) or 'as it is'}" in shown


def test_if_nothing_fits_tuning_fails_with_the_last(monkeypatch):
  def never(*_):
    raise aot.TooBig(2.0**34, 2.0**33, "less")

  monkeypatch.setattr(aot, "measure", never)
  with pytest.raises(aot.TooBig, match="16.00 GiB"):
    dry_run.report(recipe(), jax.devices(), tune=True)


def tpu(*flags, **env):
  """The command line, with the TPU compiler."""
  command = [sys.executable, "-m", "jmim.main", "--mode=dry_run", *flags]
  return subprocess.run(
    command,
    cwd=ROOT,
    capture_output=True,
    text=True,
    check=False,
    env={**os.environ, "XLA_FLAGS": "", **env},
  )


@pytest.mark.slow
@pytest.mark.skipif(
  importlib.util.find_spec("libtpu") is None, reason="libtpu is not here"
)
def test_with_the_tpu_compiler(tmp_path):
  common = ("--config=configs/mae_digits.py", "--topology=v5e:2x2")
  done = tpu(*common, f"--workdir={tmp_path}")
  assert done.returncode == 0, done.stderr
  found = json.loads((tmp_path / "dry_run.json").read_text())
  assert found["device"] == "TPU v5 lite" and found["devices"] == 4
  assert 0.9 < found["flops"]["compiled_over_model"] < 1.1
  assert found["memory"]["limit"] == 16 * 2**30 > found["memory"]["peak"]
  assert set(found["seconds"]) == {"compute", "hbm", "ici", "dcn"}
  assert all(math.isfinite(s) for s in found["seconds"].values())
  big = ("dims.width=8192", "dims.depth=4", "decoder_dims.width=8192")
  done = tpu(*common, *(f"--config.method.{x}" for x in big))
  assert done.returncode == 2
  assert "GiB less" in done.stderr and "Traceback" not in done.stderr


def test_tuned_reports_rank_by_speed_then_memory():
  report = lambda rate, peak: {
    "images_per_second": rate,
    "memory": {"peak": peak},
  }
  assert dry_run.rank(report(900, 9)) > dry_run.rank(report(500, 1))
  assert dry_run.rank(report(910, 1)) > dry_run.rank(report(920, 9))
