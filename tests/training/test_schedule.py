import math

import jax
import numpy as np
import pytest

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
  durations = ("warmup", "cooldown", "timescale", "drop")
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
