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

ROOT = pathlib.Path(__file__).resolve().parents[2]


def recipe(*items):
  return configs.override(tinyrun.recipe("nowhere"), items)


def block(t, w, ratio=4):
  """FLOPs of one transformer block on one image."""
  return 2 * t * w * (4 * w + 2 * ratio * w) + 2 * 2 * t * t * w


@pytest.fixture(scope="module")
def found(tmp_path_factory):
  out = tmp_path_factory.mktemp("dry")
  config = recipe(
    "hardware.mesh.fsdp=8", "hardware.fsdp_min_size=0", "hardware.scan=on"
  )
  report = dry_run.run(config, jax.devices(), out=out)
  assert json.loads((out / "dry_run.json").read_text()) == json.loads(
    json.dumps(report)
  )
  return report


def test_no_data_and_no_workdir_are_needed(found):
  # 16 patches of 4 numbers; 4 kept and a class token, two blocks of width 32;
  # a decoder of 17 tokens, one block of width 16.
  forward = 2 * 16 * 4 * 32 + 2 * block(5, 32) + 2 * 5 * 32 * 16
  forward += block(17, 16) + 2 * 17 * 16 * 4
  assert found["flops"]["model_per_image"] == 3 * forward
  assert found["batch"] == 32 and found["devices"] == 8


def test_the_compiled_step_does_what_the_model_needs(found):
  # Less than three forward passes: images have no gradient.
  assert 0.9 < found["flops"]["compiled_over_model"] < 1.1


def test_state_and_network_are_those_of_the_mesh(found):
  n = found["parameters"]
  # Parameters, two moments and an EMA, an eighth of each on a chip.
  assert found["memory"]["arguments"] > 4 * 4 * n / 8
  assert found["memory"]["arguments"] < 1.5 * 4 * 4 * n / 8 + 32 * 64
  assert found["network"]["fsdp_minimum"] == 3 * 4 * n * 7 / 8
  assert found["network"]["over_minimum"] > 0.5


def test_tuning_prints_what_was_tried(capsys, monkeypatch):
  tried = ({}, {"hardware.remat": "full"}, {"optim.accumulate": 3})
  monkeypatch.setattr(dry_run, "TRIED", tried)
  config = configs.override(tinyrun.toy("nowhere"), ["data.batch=16"])
  best = dry_run.run(config, jax.devices()[:2], tune=True)
  shown = capsys.readouterr().out
  for name in ("as it is", "remat=full", "accumulate=3", "with this data.ba"):
    assert name in shown
  assert f"best: {' '.join(best['tuned']) or 'as it is'}" in shown


def test_what_does_not_fit_says_by_how_much_and_what_helps():
  class Parts:
    config = recipe("data.batch=64")
    batch = 64

  text = "RESOURCE_EXHAUSTED: Ran out of memory. Used 20.00G of 15.75G hbm."
  gib = 2**30
  error = dry_run.too_big(text, 3 * gib, Parts)
  assert isinstance(error, dry_run.TooBig)
  assert "20.00 GiB" in error.seen and "4.25 GiB" in error.expected
  assert "remat=dots" in error.fix and "accumulate=2" in error.fix
  full = dry_run.too_big(text, 18 * gib, Parts)
  assert "fsdp" in full.fix and "accumulate" not in full.fix
  text = (
    "RESOURCE_EXHAUSTED: E1000: CompileTimeHbmOom: Ran out of memory on HBM, "
    "the total memory required for HLO temporaries (243.69G) exceeds "
    "available HBM (15.75G). HLO module: jit_step."
  )
  alone = dry_run.too_big(text, 3 * gib, Parts)
  assert "246.69 GiB" in alone.seen and "remat=dots" in alone.fix
  assert "accumulate=32" in alone.fix  # 12.75 GiB are left for 243.69
  other = dry_run.too_big("INTERNAL: Mosaic", 1, Parts)
  assert not isinstance(other, dry_run.TooBig) and "Mosaic" in other.seen


class Program:
  """Of a compiler whose programs can be read only with some options."""

  def __init__(self, problem: str, options=None):
    self.problem, self.options = problem, options

  def compile(self, compiler_options=None):
    return Program(self.problem, compiler_options)

  def as_text(self):
    if self.options is None:
      raise jax.errors.JaxRuntimeError(self.problem)
    return "HloModule step"


def test_a_program_that_cannot_be_read_is_compiled_for_one_kind_of_core():
  lowered = Program("INTERNAL: async-update instruction should have 1 operands")
  compiled, text = dry_run.compiled_with_text(lowered)
  assert text == "HloModule step" and compiled.options == dry_run.READABLE
  with pytest.raises(jax.errors.JaxRuntimeError, match="Mosaic"):
    dry_run.compiled_with_text(Program("INTERNAL: Mosaic"))


def test_if_nothing_fits_tuning_fails_with_the_last(monkeypatch):
  def never(*_):
    raise dry_run.TooBig(2.0**34, 2.0**33, "less")

  monkeypatch.setattr(dry_run, "measure", never)
  with pytest.raises(dry_run.TooBig, match="16.00 GiB"):
    dry_run.run(recipe(), jax.devices(), tune=True)


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
  big = ("width=8192", "depth=4", "decoder_width=8192")
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


def test_the_error_is_one_screen():
  assert issubclass(dry_run.TooBig, errors.UserError)
