"""TensorBoard files after a kill: each value once, none missing."""

import math

import numpy as np
import pytest

from jmim.runlog import events
from jmim.runlog import writer as writers

PIXELS = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)


def values(workdir):
  """(step, tag, number or None for a picture), sorted, doubles kept."""
  found = []
  for event in events.read(workdir / "tensorboard"):
    for value in event.summary.value:
      number = None if value.HasField("image") else value.simple_value
      found.append((event.step, value.tag, number))
  return sorted(found, key=str)


def run(workdir, start, stop, w=None):
  """Steps start + 1 .. stop, with an evaluation at each."""
  w = w or writers.Writer(workdir, start)
  for step in range(start + 1, stop + 1):
    w.scalars(step, {"loss": step / 4, "lr rate": 0.5})
    w.image(step, "recon/sheet", PIXELS)
    w.scalars(step, {"recon/mse": step / 8}, eval="recon")
  return w


@pytest.fixture
def whole(tmp_path):
  run(tmp_path / "whole", 0, 6).close()
  return values(tmp_path / "whole")


@pytest.mark.parametrize("resumed_from", [0, 2, 4])
@pytest.mark.parametrize("cut", [0, 1, 30, 10**6])
def test_killed_and_resumed_is_as_never_killed(
  tmp_path, whole, resumed_from, cut
):
  workdir = tmp_path / "cut"
  w = run(workdir, 0, 4)
  w.scalars(5, {"loss": 99.0})  # then killed: nobody closes it
  (path,) = (workdir / "tensorboard").iterdir()
  data = path.read_bytes()
  path.write_bytes(data[: max(0, len(data) - cut)])
  run(workdir, resumed_from, 6).close()
  found = values(workdir)
  # A picture is no line of metrics.jsonl: one that was cut off stays away.
  pictures = [v for v in whole if v[2] is None and v not in found]
  assert sorted([*found, *pictures], key=str) == whole
  assert len(pictures) <= (cut == 10**6) * resumed_from


def test_an_evaluation_that_is_done_again_draws_its_picture_once(
  tmp_path, whole
):
  workdir = tmp_path / "cut"
  w = run(workdir, 0, 3)
  w.scalars(4, {"loss": 1.0, "lr rate": 0.5})
  w.image(4, "recon/sheet", PIXELS)  # killed before its line
  w = writers.Writer(workdir, 4)
  w.image(4, "recon/sheet", PIXELS)
  w.scalars(4, {"recon/mse": 0.5}, eval="recon")
  run(workdir, 4, 6, w).close()
  assert values(workdir) == whole


def test_times_of_day_survive_and_nothing_is_rewritten_without_need(tmp_path):
  run(tmp_path, 0, 3).close()
  (path,) = (tmp_path / "tensorboard").iterdir()
  before = path.read_bytes()
  writers.Writer(tmp_path, 3).close()
  assert path.read_bytes() == before
  times = {e.wall_time for e in events.read(tmp_path / "tensorboard")}
  writers.Writer(tmp_path, 2).close()
  (path,) = (tmp_path / "tensorboard").iterdir()
  after = events.read(tmp_path / "tensorboard")[1:]  # its version is new
  assert {e.wall_time for e in after} < times


def test_numbers_that_json_has_not_are_numbers_here(tmp_path):
  w = writers.Writer(tmp_path)
  w.scalars(1, {"loss": math.nan, "best": math.inf})
  w.close()
  for path in (tmp_path / "tensorboard").iterdir():
    path.unlink()
  writers.Writer(tmp_path, 1).close()
  found = {tag: number for _, tag, number in values(tmp_path)}
  assert math.isnan(found["loss"]) and found["best"] == math.inf
