"""What a GPU is asked, on sides that only pretend to compute."""

import json

import pytest

from jmim.core import errors
from jmim.tools import bench_gpu
from jmim.tools import bench_sides

FITS = 64


class Side:
  """No cuDNN, no batch above FITS; scanned takes twice as long."""

  started = []

  def __init__(self, module, spec):
    self.peer = module == bench_sides.PEER
    if self.peer:
      self.seconds = 0.3
      self.facts = {"name": "torch"}
      return
    items = dict(x.split("=") for x in spec["overrides"])
    Side.started.append(items)
    batch = int(items["data.batch"])
    if items["hardware.attention"] == "cudnn" or batch > FITS:
      raise errors.UserError("it ended", "a process", "see above")
    self.seconds = 0.2 if items["hardware.scan"] == "on" else 0.1
    self.facts = {
      "batch": batch,
      "flops": 1e9,
      "peak": 1e12,
      "memory": 5e9,
      "parameters": 7,
      "devices": "1 gpu",
      "peer": {"model": "mae"},
    }

  def ask(self, steps):
    return {"seconds": steps * self.seconds, "cpu": steps * self.seconds}

  def close(self):
    pass


@pytest.fixture(autouse=True)
def pretend(monkeypatch):
  monkeypatch.setattr(bench_sides, "Side", Side)
  monkeypatch.setenv("XLA_PYTHON_CLIENT_PREALLOCATE", "")
  Side.started = []


def run(tmp_path, *more):
  out = tmp_path / "gpu.json"
  code = bench_gpu.main(
    [
      "--config=configs/mae_digits.py",
      "--batches=128,64,32",
      f"--out={out}",
      *more,
    ]
  )
  assert code == 0
  return json.loads(out.read_text())[0]


def test_the_largest_batch_that_fits_and_all_ways_there_are(tmp_path, capsys):
  found = run(tmp_path, "--config.seed=1")
  assert found["batch"] == 64
  assert set(found["ways"]) == {"xla, unrolled", "xla, scanned"}
  way = found["ways"]["xla, unrolled"]
  assert way["images_per_second"] == pytest.approx(640)
  assert way["mfu"] == pytest.approx(0.64)
  assert found["peer"]["ratio"] == pytest.approx(3.0)  # of the fastest way
  assert all(items["seed"] == "1" for items in Side.started)
  shown = capsys.readouterr().out
  assert "batch 64" in shown and "3.00 x the speed of torch" in shown
  assert "64.0%" in shown


def test_what_there_is_no_time_for_is_said(tmp_path, capsys):
  found = run(tmp_path, "--minutes=0")
  assert found["skipped"] and not found["ways"] and not Side.started
  assert "no time left" in capsys.readouterr().out


def test_a_model_that_fits_nowhere_has_no_figures(tmp_path, monkeypatch):
  monkeypatch.setitem(globals(), "FITS", 1)
  found = run(tmp_path)
  assert not found["ways"] and "batch" not in found


def test_a_mistake_in_a_recipe_is_no_batch_that_does_not_fit(capsys):
  argv = ["--config=configs/mae_digits.py", "--config.sead=1"]
  assert bench_gpu.main(argv) == 2
  assert "seed" in capsys.readouterr().err and not Side.started
