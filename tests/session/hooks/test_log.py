"""Log lines of a run whose sums are made up here."""

import contextlib
import types

import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import errors
from jmim.core import state as states
from jmim.runlog import clock as clocks
from jmim.runlog import waits
from jmim.session import diagnose
from jmim.session.hooks import log


class Desk:
  """What a log line reaches: console, file, keeper."""

  def __init__(self, max_skips=3, log_steps=2):
    self.lines, self.written, self.checked = [], [], 0
    train = types.SimpleNamespace(log_steps=log_steps, max_skips=max_skips)
    self.parts = types.SimpleNamespace(
      config=types.SimpleNamespace(train=train),
      batch=8,
      total=6,
      method=types.SimpleNamespace(players=("main",)),
    )
    self.clock = clocks.Clock()
    self.console = types.SimpleNamespace(
      log=lambda step, total, values: self.lines.append((step, total, values))
    )
    self.keeper = types.SimpleNamespace(check=self.check)
    self.writer = types.SimpleNamespace(
      scalars=lambda step, values: self.written.append((step, values))
    )

  def check(self, writer):
    self.checked += 1


def state(loss, counted, skipped=0):
  zero = jnp.int32(0)
  return states.State(
    step=zero,
    params={},
    opt={},
    ema={},
    extra={},
    window={"loss": jnp.float32(loss)},
    counted=jnp.int32(counted),
    skipped=jnp.int32(skipped),
    skipped_total=jnp.int32(skipped),
  )


def make(desk, made, writer=True, **more):
  """(hook, loop)."""
  schedule = lambda step: np.float32(0.5) ** step
  optimizers = {"main": types.SimpleNamespace(schedule=schedule)}
  step = types.SimpleNamespace(optimizers=optimizers)
  ready = types.SimpleNamespace(
    program=types.SimpleNamespace(step=step),
    facts=types.SimpleNamespace(flops=10, peak=1e6),
    writer=desk.writer if writer else None,
    no_sums=lambda: ({"loss": jnp.float32(0)}, jnp.int32(0)),
  )
  loop = types.SimpleNamespace(step=0, state=made)
  return log.Log(desk, ready, loop, **more), loop


def test_a_line_has_means_and_begins_a_new_window():
  desk = Desk()
  hook, loop = make(desk, state(loss=3.0, counted=2))
  hook.write(2)
  ((step, values),) = desk.written
  assert step == 2 and values["loss"] == 1.5
  assert values["lr"] == 0.5  # of the last step, which is number 1 from 0 on
  assert desk.lines[0][:2] == (2, 6) and "1.5" in desk.lines[0][2]["loss"]
  assert float(loop.state.window["loss"]) == 0 == int(loop.state.counted)
  assert desk.checked == 1


def test_hosts_that_do_not_write_print_only():
  desk = Desk()
  make(desk, state(3.0, 2), writer=False)[0].write(2)
  assert desk.written == [] and len(desk.lines) == 1


def test_it_is_due_every_so_many_steps_and_at_the_end():
  hook, _ = make(Desk(log_steps=4), state(0, 1))
  assert [s for s in range(1, 7) if hook.due(s)] == [4, 6]


def test_speed_counts_from_where_a_rollback_went(monkeypatch):
  desk = Desk()
  hook, _ = make(desk, state(1.0, 1))
  now = iter([100.0, 108.0])
  monkeypatch.setattr(desk.clock, "lap", lambda: {"total": next(now) - 99})
  hook.write(4)
  hook.go_to(2)
  hook.write(4)
  first, second = (values["images_per_second"] for _, values in desk.written)
  assert first == pytest.approx(4 * 8 / 1) and second == 2 * 8 / 9


def test_too_many_bad_steps_in_a_row_end_the_run(monkeypatch):
  desk = Desk(max_skips=3)
  calls, within = [], []

  @contextlib.contextmanager
  def during(kind):
    within.append(kind)
    try:
      yield
    finally:
      within.pop()

  def diverged(session, ready, state, *, step, skipped):
    calls.append((step, skipped))
    assert within == [waits.DIAGNOSIS]  # a watchdog knows that it is no step
    return errors.Diverged("stop")

  monkeypatch.setattr(diagnose, "diverged", diverged)
  make(desk, state(1.0, 1, skipped=2), during=during)[0].write(4)
  with pytest.raises(errors.Diverged):
    make(desk, state(1.0, 1, skipped=3), during=during)[0].write(4)
  assert calls == [(4, 3)]
  hook, loop = make(desk, state(1.0, 1, skipped=3), during=during)
  loop.skipped = 2
  hook.check(5)  # what is known already; nothing waits for the devices
  loop.skipped = 3
  with pytest.raises(errors.Diverged):
    hook.check(6)
  assert calls == [(4, 3), (6, 3)]
  hook, loop = make(
    desk, state(1.0, 1, skipped=0), during=during
  )  # it went on meanwhile
  loop.skipped = 3
  hook.check(6)
  assert len(desk.written) == 2  # the line is written all the same
