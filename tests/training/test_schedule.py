import math

import jax
import numpy as np
import pytest

from jmim.core import errors
from jmim.core.settings import optim as settings
from jmim.training import schedule


def card(e, lr, warm, total, low=0.0):
  """The MAE release: linear warm-up, then half a cosine, in epochs."""
  if e < warm:
    return lr * e / warm
  done = (e - warm) / (total - warm)
  return low + (lr - low) * 0.5 * (1 + math.cos(math.pi * done))


@pytest.mark.parametrize("low", [0.0, 1e-6])
@pytest.mark.parametrize("per_epoch", [4, 15.625])
def test_cosine_is_that_of_the_mae_release(per_epoch, low):
  # 40 of 800 epochs; the warm-up ends between two steps if per_epoch is odd.
  lr, warm, total = 2.4e-3, 4.3, 80
  shape = settings.Schedule(warmup_steps=warm * per_epoch, min_lr=low)
  made = schedule.make(shape, lr, total * per_epoch)
  for step in range(0, int(total * per_epoch), 7):
    expected = card(step / per_epoch, lr, warm=warm, total=total, low=low)
    assert float(made(step)) == pytest.approx(expected, rel=1e-5, abs=1e-9)


def make(name, peak, total, **fields):
  """A schedule; warmup, cooldown, timescale and drop in steps."""
  durations = ("warmup", "hold", "stair", "cooldown", "timescale", "drop")
  fields = {f"{k}_steps" if k in durations else k: v for k, v in fields.items()}
  return schedule.make(settings.Schedule(name=name, **fields), peak, total)


def values(name, steps, **fields):
  return np.asarray(make(name, 1.0, 100, **fields)(np.array(steps)))


def test_linear_falls_on_a_line_to_min_lr():
  found = values("linear", [10, 55, 100], warmup=10, min_lr=0.2)
  np.testing.assert_allclose(found, [1.0, 0.6, 0.2], rtol=1e-6)


def test_constant_stays():
  found = values("constant", [0, 5, 10, 60, 100], warmup=10)
  np.testing.assert_allclose(found, [0, 0.5, 1, 1, 1], rtol=1e-6)


@pytest.mark.parametrize(
  "kwargs, scale, start",
  [({}, 1, 0), ({"warmup": 16}, 16, 16), ({"timescale": 9, "warmup": 4}, 9, 4)],
)
def test_rsqrt_is_continuous_and_falls_like_the_root(kwargs, scale, start):
  t = np.arange(start, 101)
  expected = np.sqrt(scale / (scale + t - start))
  np.testing.assert_allclose(values("rsqrt", t, **kwargs), expected, rtol=1e-5)


@pytest.mark.parametrize("name", ["cosine", "linear", "constant", "rsqrt"])
def test_cooldown_multiplies_the_end_by_a_line(name):
  t = np.arange(101)
  line = np.clip((100 - t) / 20, 0, 1)
  plain = values(name, t, warmup=10, min_lr=0.3)
  found = values(name, t, warmup=10, min_lr=0.3, cooldown=20)
  np.testing.assert_allclose(found, plain * line, rtol=1e-6)
  assert found[100] == 0 and np.all(found[:80] == plain[:80])


@pytest.mark.parametrize("name", ["cosine", "linear", "constant", "rsqrt"])
@pytest.mark.parametrize("warmup", [0.5, 2.5, 10])
def test_warmup_is_a_line_from_0_to_the_peak(name, warmup):
  t = np.arange(0, math.ceil(warmup))
  np.testing.assert_allclose(
    values(name, t, warmup=warmup), t / warmup, rtol=1e-6
  )


def test_warmup_may_begin_above_0():
  found = values("cosine", [0, 5, 10], warmup=10, start_lr=0.2)
  np.testing.assert_allclose(found, [0.2, 0.6, 1.0], rtol=1e-6)


def test_step_drops_once():
  found = values("step", [0, 5, 10, 69, 70, 99], warmup=10, drop=70)
  np.testing.assert_allclose(found, [0, 0.5, 1, 1, 0.1, 0.1], rtol=1e-6)
  found = values("step", [69, 70], drop=70, drop_factor=0.5)
  np.testing.assert_allclose(found, [1, 0.5], rtol=1e-6)


def test_step_drops_again_at_multiples_of_its_time():
  steps = [0, 9, 10, 19, 20, 29, 30, 49, 50, 99]
  found = values(
    "step", steps, drop=10, drop_factor=0.5, drop_again=(2.0, 3.0, 5.0)
  )
  wanted = [1, 1, 0.5, 0.5, 0.25, 0.25, 0.125, 0.125, 0.0625, 0.0625]
  np.testing.assert_allclose(found, wanted, rtol=1e-6)


def test_cycles_begin_at_the_peak_and_end_at_floors_of_their_own():
  """As restorers are trained: the first floor may be above the peak."""
  t = np.arange(10, 100)
  found = values("cycles", t, warmup=10, cycles=(1.0, 2), floors=(1.4, 0.1))
  first, second = (t - 10) / 30, (t - 40) / 60
  wave = lambda low, v: low + (1 - low) * 0.5 * (1 + np.cos(np.pi * v))
  wanted = np.where(t < 40, wave(1.4, first), wave(0.1, second))
  np.testing.assert_allclose(found, wanted, rtol=1e-5)
  assert found[29] > 1.39 and found[30] == pytest.approx(1)
  made = values("cycles", [100, 200], cycles=(3.0,), floors=(0.2,))
  np.testing.assert_allclose(made, 0.2, rtol=1e-6)


@pytest.mark.parametrize(
  "fields, key",
  [
    ({"name": "step", "drop_again": (2.0, 2.0)}, "schedule.drop_again"),
    ({"name": "step", "drop_again": (0.5,)}, "schedule.drop_again"),
    ({"name": "cycles"}, "schedule.cycles"),
    ({"cycles": (1.0,)}, "schedule.cycles"),
    ({"name": "cycles", "cycles": (1.0,)}, "schedule.floors"),
  ],
)
def test_lists_that_no_shape_can_follow_are_refused(fields, key):
  with pytest.raises(errors.UserError) as caught:
    settings.Schedule(**fields)
  assert caught.value.key == key


def test_a_warmup_may_be_a_share_of_the_run():
  share = schedule.make(settings.Schedule(warmup_share=0.25), 2.0, 40)
  steps = schedule.make(settings.Schedule(warmup_steps=10), 2.0, 40)
  for t in (0, 5, 10, 25, 40):
    assert share(t) == steps(t)
  assert share(5) == 1.0


def test_no_warmup_starts_at_the_peak():
  assert float(make("cosine", 0.7, 10)(0)) == pytest.approx(0.7)


def test_all_warmup_and_steps_beyond_the_end_are_finite():
  made = make("cosine", 1.0, 10, warmup=10)
  assert float(made(5)) == pytest.approx(0.5)
  assert np.isfinite(made(np.arange(20))).all()
  assert float(make("linear", 1.0, 10)(15)) == 0.0


def test_traced_steps_and_numbers_agree():
  made = make("rsqrt", 0.3, 50, warmup=3.3, cooldown=5)
  for step in (0, 3, 4, 47):
    assert float(jax.jit(made)(step)) == pytest.approx(float(made(step)))


def test_a_peak_that_is_held():
  found = values("cosine", [5, 10, 20, 29, 65, 100], warmup=10, hold=20)
  wanted = [0.5, 1, 1, 1, 0.5, 0]
  np.testing.assert_allclose(found, wanted, atol=1e-6)
  line = values("linear", [20, 30, 65, 100], hold=30)
  np.testing.assert_allclose(line, [1, 1, 0.5, 0], atol=1e-6)


@pytest.mark.parametrize("stair", [10, 10.1, 1 / 3 * 30.3])
def test_a_rate_that_changes_by_stairs(stair):
  steps = np.arange(100)
  found = values("linear", steps, stair=stair)
  wanted = 1 - stair * np.floor(np.round(steps / stair, 6)) / 100
  np.testing.assert_allclose(found, wanted, atol=1e-6)
  assert len(set(found)) == 10


@pytest.mark.parametrize("stair", [2000, 50_000, 33_333.5])
def test_long_stairs_end_where_they_should(stair):
  made = make("linear", 1.0, 10 * stair, stair=stair)
  for i in range(1, 10):
    first = math.ceil(i * stair - 1e-6)
    before, there = made(np.array([first - 1, first]))
    wanted = 1.1 - i / 10, 1 - i / 10
    np.testing.assert_allclose([before, there], wanted, rtol=1e-5)
