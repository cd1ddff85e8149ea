"""Which steps are traced, and on which host."""

import contextlib
import types

import pytest

from jmim.cost import profile
from jmim.runlog import clock as clocks
from jmim.session.hooks import trace


class Profile:
  """Notes what it is asked for."""

  made: list = []

  def __init__(self, steps, folder):
    self.steps, self.folder, self.count = list(steps), folder, len(steps)
    self.begun, self.closed = [], False
    Profile.made.append(self)

  def before(self, step, state):
    self.begun.append(step)

  def ends(self, step):
    return bool(self.steps) and step == self.steps[-1]

  def end(self, state):
    return f"trace of {state}"

  def close(self):
    self.closed = True


@pytest.fixture
def make(tmp_path, monkeypatch):
  """Makes a hook; the traces that are shown."""
  shown, printed = [], []
  monkeypatch.setattr(profile, "Profile", Profile)
  monkeypatch.setattr(profile, "show", lambda *args: shown.append(args[1:]))
  Profile.made = []

  def hook(steps, start=0, writes=True):
    train = types.SimpleNamespace(profile_steps=steps)
    closing = contextlib.ExitStack()
    session = types.SimpleNamespace(
      parts=types.SimpleNamespace(
        config=types.SimpleNamespace(train=train), total=9
      ),
      console=types.SimpleNamespace(print=printed.append),
      workdir=tmp_path,
      writes=writes,
      clock=clocks.Clock(),
      closing=closing,
    )
    compiled = types.SimpleNamespace(as_text=lambda: "program")
    return trace.Trace(session, start, compiled), closing

  return hook, shown, printed


def test_the_steps_are_traced_and_shown_once(make, tmp_path):
  hook, shown, printed = make
  traces, closing = hook("3:4")
  for step in range(1, 6):
    traces.before(step, f"state {step - 1}")
    traces.after(step, f"state {step}")
  assert shown == [("trace of state 4", "program", 2)] and printed == []
  (made,) = Profile.made
  assert made.begun == [1, 2, 3, 4, 5] and made.folder == tmp_path / "profile"
  closing.close()  # also one that has begun and is cut short
  assert made.closed


def test_other_hosts_trace_nothing(make):
  hook, shown, _ = make
  hook("3:4", writes=False)
  assert Profile.made[0].steps == []


@pytest.mark.parametrize("start, behind", [(2, False), (3, True), (8, True)])
def test_steps_that_are_behind_are_said_to_be(make, start, behind):
  hook, _, printed = make
  hook("3:4", start=start)
  assert bool(printed) == behind
