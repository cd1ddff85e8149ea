"""Losses that jump: a warning, a rollback, the end."""

import contextlib
import types

import pytest

from jmim.core import errors
from jmim.parallel import hosts
from jmim.session import restore
from jmim.session import skips
from jmim.session.hooks import spike

CALM = [1 + 0.01 * (i % 5) for i in range(40)]


class Run:
  """A session, loop, batches and writer that note what is done to them."""

  def __init__(self, tmp_path, policy, steps=(2, 4), writes=True, most=2):
    self.done, self.printed = [], []
    note = lambda name: lambda *args: self.done.append((name, *args))
    train = types.SimpleNamespace(
      spike_z=8.0, spike_window=64, spike_policy=policy, max_rollbacks=most
    )
    config = types.SimpleNamespace(train=train)
    self.session = types.SimpleNamespace(
      parts=types.SimpleNamespace(config=config),
      console=types.SimpleNamespace(
        print=lambda text, style=None: self.printed.append(text)
      ),
      keeper=types.SimpleNamespace(
        wait=note("wait"),
        roll_back=note("delete after"),
        store=types.SimpleNamespace(steps=lambda: list(steps)),
      ),
      writes=writes,
      workdir=tmp_path,
      group=hosts.Group(),
      saving=contextlib.nullcontext,
    )
    self.loop = types.SimpleNamespace(go_to=note("loop"))
    self.ready = types.SimpleNamespace(
      point=restore.Point(step=0, state="new", losses=tuple(CALM)),
      program=None,
      batches=types.SimpleNamespace(
        examples=lambda step: [step], skip=note("skip"), skips=()
      ),
      writer=types.SimpleNamespace(rewind=note("rewind")),
    )

  def hook(self):
    return spike.Spikes(self.session, self.ready, self.loop)


@pytest.fixture(autouse=True)
def restored(monkeypatch):
  """The point that is restored: that of step 4, with losses of its own."""
  point = restore.Point(step=4, state="old", losses=(1.0, 2.0))
  monkeypatch.setattr(restore, "newest", lambda *args: point)
  return point


def feed(hook, losses):
  for loss in losses:
    hook.add(loss)


def test_calm_losses_are_compared_with_later(tmp_path):
  run = Run(tmp_path, "rollback")
  hook = run.hook()
  feed(hook, [1.0, 1.02])
  assert not hook.handle(6) and run.printed == [] == run.done
  assert hook.recent == [*CALM, 1.0, 1.02]
  feed(hook, [1.01])  # those before were looked at
  assert not hook.handle(7) and len(hook.recent) == len(CALM) + 3


def test_a_spike_is_named_with_its_step_and_its_examples(tmp_path):
  run = Run(tmp_path, "warn")
  hook = run.hook()
  feed(hook, [1.0, 9.0, 1.0])
  assert not hook.handle(9)  # the losses are those of steps 7, 8, 9
  (line,) = run.printed
  assert "loss spike: 9 at step 8" in line and "examples 8" in line
  assert 9.0 not in hook.recent and run.done == []


@pytest.mark.parametrize("writes", [True, False])
def test_a_rollback_goes_before_the_spike_and_skips_what_led_to_it(
  tmp_path, restored, writes
):
  run = Run(tmp_path, "rollback", steps=(2, 4, 8), writes=writes)
  hook = run.hook()
  feed(hook, [1.0, 9.0, 1.0, 1.0])
  assert hook.handle(9)  # the spike is at 7
  assert run.done == [
    ("wait",),
    ("delete after", 4),
    ("skip", 4, 5),
    ("rewind", 4),
    ("loop", restored),
  ]
  assert hook.recent == [1.0, 2.0]
  assert skips.read(tmp_path) == ([[4, 5]] if writes else [])
  assert "rolled back to step 4; the 5 batches" in run.printed[-1]


def test_without_an_earlier_checkpoint_it_goes_on(tmp_path):
  run = Run(tmp_path, "rollback", steps=(8,))
  hook = run.hook()
  feed(hook, [9.0])
  assert not hook.handle(7)
  assert run.printed[-1] == "no checkpoint before it to roll back to"


def test_a_window_that_cannot_be_written_down_loses_no_checkpoint(
  tmp_path, monkeypatch
):
  run = Run(tmp_path, "rollback")

  def fail(*args):
    raise OSError("no space left")

  monkeypatch.setattr(skips, "add", fail)
  hook = run.hook()
  feed(hook, [9.0])
  with pytest.raises(OSError, match="no space left"):  # to `saving`, NotSaved
    hook.handle(7)
  assert run.done == [("wait",)]


def test_rollbacks_of_earlier_starts_count(tmp_path):
  run = Run(tmp_path, "rollback", most=2)
  run.ready.batches.skips = [[2, 1], [2, 1]]
  hook = run.hook()
  feed(hook, [9.0])
  with pytest.raises(errors.Diverged, match="after 2 rollbacks"):
    hook.handle(7)


def test_after_so_many_rollbacks_it_stops(tmp_path):
  hook = Run(tmp_path, "rollback", most=1).hook()
  feed(hook, [9.0])
  assert hook.handle(7)
  feed(hook, [*CALM, 9.0])
  with pytest.raises(errors.Diverged, match="after 1 rollbacks"):
    hook.handle(60)
