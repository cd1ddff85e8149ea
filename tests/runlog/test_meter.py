import pytest

from jmim.runlog import clock
from jmim.runlog import meter


class Time:
  """A clock that is set by hand."""

  now = 0.0

  def __call__(self):
    return self.now


def make(time, **kwargs):
  given = {
    "clock": clock.Clock(time),
    "batch": 10,
    "total": 100,
    "flops": 1000,
    "peak": 1e5,
    "lr": lambda step: step / 10,
    "logged": 0,
  }
  return meter.Meter(**given | kwargs)


def test_speed_leaves_out_evaluation_and_checkpoints():
  time = Time()
  m = make(time)
  for name, seconds in (("input", 1.0), ("eval", 50.0), ("checkpoint", 9.0)):
    with m.clock.measure(name):
      time.now += seconds
  time.now += 3.0
  values, shown = m.read(20, {"loss": 30.0}, 20, 0)
  assert values["loss"] == 1.5
  assert values["images_per_second"] == pytest.approx(20 * 10 / 4.0)
  assert values["mfu"] == pytest.approx(50 * 1000 / 1e5)
  assert values["input_wait"] == pytest.approx(0.25)
  assert values["lr"] == pytest.approx(1.9)  # of the last step, from 0
  assert shown["left"] == "16s"  # 800 images at 50 a second
  assert shown["loss"] == "1.5000" and "skipped" not in shown


def test_each_line_measures_since_the_one_before():
  time = Time()
  m = make(time, logged=40)
  time.now += 2.0
  assert m.read(50, {}, 10, 0)[0]["images_per_second"] == pytest.approx(50)
  time.now += 1.0
  assert m.read(60, {}, 10, 0)[0]["images_per_second"] == pytest.approx(100)


def test_skipped_steps_are_shown_and_a_window_of_them_has_no_mean():
  time = Time()
  m = make(time)
  time.now += 1.0
  values, shown = m.read(10, {"loss": 0.0}, 0, 10)
  assert values["loss"] != values["loss"]
  assert shown["skipped"] == "10" and shown["loss"] == "nan"
  time.now += 1.0
  values, shown = m.read(20, {"loss": 8.0}, 4, 16)
  assert values["loss"] == 2.0 and values["skipped_steps"] == 16


def test_every_loss_is_a_column_and_nothing_else_of_the_metrics():
  time = Time()
  m = make(time)
  time.now += 1.0
  window = {"loss/a": 10.0, "loss/b": 20.0, "lossy": 1.0, "grad_norm": 3.0}
  _, shown = m.read(10, window, 10, 0)
  assert shown["loss/a"] == "1.0000" and shown["loss/b"] == "2.0000"
  assert not {"lossy", "grad_norm"} & set(shown)


def test_goodput_is_of_the_whole_run():
  time = Time()
  m = make(time)
  with m.clock.measure("compile"):
    time.now += 2.0
  time.now += 2.0
  m.read(10, {}, 10, 0)
  time.now += 4.0
  values, shown = m.read(20, {}, 10, 0)
  assert values["goodput/steps"] == pytest.approx(0.75)
  assert values["goodput/compile"] == pytest.approx(0.25)
  assert values["goodput/eval"] == 0
  assert shown["goodput"] == "75% (compile 25%)"


def test_what_takes_little_is_not_shown():
  shares = {"steps": 0.9, "eval": 0.004, "input": 0.01, "compile": 0.086}
  assert meter.goodput(shares) == "90% (compile 9%, input 1%)"
  assert meter.goodput({"steps": 1.0, "eval": 0.0}) == "100%"
