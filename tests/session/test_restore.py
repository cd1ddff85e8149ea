"""States of a run from its checkpoints."""

import dataclasses

import jax
import numpy as np
import pytest

from jmim.core import errors
from jmim.parallel import alike
from jmim.parallel import hosts
from jmim.session import batches as feeds
from jmim.session import restore
from jmim.session import session as sessions


def test_weights_alone_are_those_of_the_newest(toy, trained):
  with sessions.open(toy, trained, write=False) as session:
    restored = restore.only_weights(session)
  point = restored.point
  assert point.step == int(point.state.step) == 4
  assert jax.tree.leaves(point.state.opt) == []
  assert jax.tree.leaves(point.state.ema)  # of `toy`: ema.decay=0.9


def test_going_on_from_an_older_one_gives_the_newer(toy, trained):
  with sessions.open(toy, trained, write=False) as session:
    newest = restore.before(session, 5)
    restored = restore.before(session, 4)
    assert (newest.point.step, restored.point.step) == (4, 2)
    program = restored.program
    step, state = jax.jit(program.step), restored.point.state
    for _ in range(2):
      state, _ = step(state, program.consts, next(restored.batches))
  for ours, theirs in zip(
    jax.tree.leaves(state.params),
    jax.tree.leaves(newest.point.state.params),
    strict=True,
  ):
    np.testing.assert_allclose(ours, theirs, rtol=1e-6)


def test_without_a_checkpoint_no_data_is_read(toy, trained, monkeypatch):
  monkeypatch.setattr(feeds.Batches, "peek", lambda self: pytest.fail("read"))
  with sessions.open(toy, trained, write=False) as session:
    with pytest.raises(errors.UserError, match="no checkpoint before step 2"):
      restore.before(session, 2)
  with sessions.open(toy, trained / "none", write=False) as session:
    with pytest.raises(errors.UserError, match="no checkpoint in"):
      restore.only_weights(session)


def test_clock_and_losses_go_on(toy, trained):
  with sessions.open(toy, trained, write=False) as session:
    before = session.clock.seconds()["compile"]
    restored = restore.before(session, 5)
    assert before == 0 < session.clock.seconds()["compile"]
  assert len(restored.point.losses) == 0  # spikes are not looked for


def test_hosts_that_see_the_newest_late_wait_for_it(toy, trained, monkeypatch):
  """Else one would look at another checkpoint than the others, or at none."""
  steps, slept = iter([None, 4, 4, 4]), []
  with sessions.open(toy, trained, write=False) as session:
    shown = lambda self: next(steps, 4)
    monkeypatch.setattr(type(session.keeper.store), "latest", shown)
    monkeypatch.setattr(alike.time, "sleep", slept.append)
    other = dataclasses.replace(session, group=hosts.Group(1, 1, 2))
    gather = lambda name, value, **more: {0: "4", 1: value}
    monkeypatch.setattr(hosts, "gather", gather)
    restore._look(other)
  assert slept == [1]
