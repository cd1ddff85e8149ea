"""The generator of steps, with a step that only counts."""

import itertools

import jax
import pytest

from jmim.runlog import clock as clocks
from jmim.session import loop as loops
from jmim.session import ready as readiness
from jmim.session import restore
from jmim.session import session as sessions


class Loss:
  """Of a step that is done, or still under way."""

  def __init__(self, done=True):
    self.is_ready = lambda: done


def make(total=6, advance=None, clock=None, batches=None, step=0, state=0):
  return loops.Loop(
    restore.Point(step=step, state=state),
    advance or (lambda s, batch: (s + batch, {"loss": Loss(), "skipped": s})),
    batches or itertools.count(1),
    total=total,
    loss="loss",
    clock=clock or clocks.Clock(),
  )


def test_every_step_gets_the_state_and_the_batch_that_follow():
  loop = make(total=4)
  seen = [(step, loop.state) for step, _ in loop.steps()]
  assert seen == [(1, 1), (2, 3), (3, 6), (4, 10)]
  assert list(loop.steps()) == []  # it is at its end


def test_a_run_that_is_continued_does_the_rest():
  loop = make(total=4, step=3, state=6, batches=itertools.count(4))
  assert [(step, loop.state) for step, _ in loop.steps()] == [(4, 10)]


def test_before_each_step_its_number_and_the_state_are_shown():
  calls = []
  for _ in make(total=2).steps(before=lambda *args: calls.append(args)):
    pass
  assert calls == [(1, 0), (2, 1)]


def test_it_goes_on_from_where_it_was_moved_to():
  loop, steps = make(total=4), []
  for step, _ in loop.steps():
    steps.append(step)
    if len(steps) == 3:
      loop.go_to(restore.Point(step=1, state=100))
  assert steps == [1, 2, 3, 2, 3, 4]
  assert loop.state == 100 + 4 + 5 + 6


def test_the_host_stays_two_steps_ahead_of_the_devices(monkeypatch):
  waited, made = [], []

  def advance(state, batch):
    made.append({"loss": Loss(done=False), "skipped": 0})
    return state, made[-1]

  monkeypatch.setattr(jax, "block_until_ready", waited.append)
  for step, _ in make(advance=advance).steps():
    assert waited == made[: max(0, step - loops.AHEAD)]


@pytest.mark.parametrize("done", [True, False])
def test_input_is_waited_for_only_while_no_step_is_under_way(done):
  now = 0.0

  def batches():
    nonlocal now
    while True:
      now += 1.0
      yield "batch"

  clock = clocks.Clock(lambda: now)
  advance = lambda state, batch: (state, {"loss": Loss(done), "skipped": 0})
  loop = make(total=5, advance=advance, clock=clock, batches=batches())
  assert len(list(loop.steps())) == 5
  # The first has none before it; after that the devices were busy, or not.
  assert clock.lap() == {"input": 5.0 if done else 1.0, "total": 5.0}


def test_the_loop_of_a_run_watches_the_loss_of_the_first_player(toy, tmp_path):
  with sessions.open(toy, tmp_path) as session:
    loop = loops.make(session, readiness.prepare(session))
    assert loop.loss == "loss/generator"
    for step, metrics in loop.steps():
      assert loop.loss in metrics and int(loop.state.step) == step
  assert step == loop.step == 4
