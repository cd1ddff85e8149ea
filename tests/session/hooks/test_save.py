"""When a checkpoint is begun, and what is in it beside the state."""

import types
from typing import NamedTuple

import jax
import jax.numpy as jnp
import pytest

from jmim.checkpoints import keeper as keepers
from jmim.core import config as configs
from jmim.core import errors
from jmim.parallel import hosts
from jmim.runlog import clock as clocks
from jmim.session.hooks import save
from jmim.tools import scaling_hosts


class State(NamedTuple):
  """What a checkpoint holds."""

  skipped: jax.Array
  x: jax.Array


class Keeper:
  """Remembers what is saved."""

  def __init__(self):
    self.retry_due, self.saved = False, []

  def save(self, *args):
    self.saved.append(("begun", *args))

  def save_and_wait(self, *args):
    self.saved.append(("finished", *args))


@pytest.fixture
def keeper():
  return Keeper()


def make(keeper, every=4, total=10, lock=None):
  config = configs.base()
  config.seed = 7
  session = types.SimpleNamespace(
    parts=types.SimpleNamespace(
      config=config, checkpoint_every=every, total=total
    ),
    keeper=keeper,
    group=hosts.Group(),
    clock=clocks.Clock(),
    lock=lock,
    console=types.SimpleNamespace(print=lambda *args, **kwargs: None),
  )
  state = types.SimpleNamespace(skipped=0)
  loop = types.SimpleNamespace(state=state)
  spikes = types.SimpleNamespace(recent=[0.5, 0.25])
  batches = types.SimpleNamespace(
    position=lambda step: step + 2, skips=[(1, 2)]
  )
  ready = types.SimpleNamespace(batches=batches, writer="writer")
  return save.Save(session, ready, loop, spikes)


def test_it_is_due_every_so_many_steps_and_where_one_failed(keeper):
  hook = make(keeper)
  due = lambda step: hook.due(step, logged=step % 3 == 0)
  assert [s for s in range(1, 11) if due(s)] == [4, 8, 10]
  keeper.retry_due = True  # it is tried again at log lines
  assert [s for s in range(1, 11) if due(s)] == [3, 4, 6, 8, 9, 10]


def test_a_checkpoint_knows_all_that_a_run_goes_on_with(keeper):
  hook = make(keeper)
  hook.begin(4)
  ((kind, step, state, meta, writer),) = keeper.saved
  assert (kind, step, state, writer) == ("begun", 4, hook._loop.state, "writer")
  assert meta["config"]["seed"] == 7
  assert meta["position"] == 6 and meta["skips"] == [[1, 2]]
  assert meta["losses"] == [0.5, 0.25]
  assert set(meta["clock"]) == {"seconds", "time"}


def test_hosts_meet_as_often_as_the_tool_that_times_it_says(
  tmp_path, monkeypatch
):
  names = []

  def gather(name, value, seconds, index, count):
    names.append(name)
    return {0: value, 1: value}

  monkeypatch.setattr(hosts, "gather", gather)
  two, train = hosts.Group(60, 0, 2), configs.base().train
  keeper = keepers.Keeper(tmp_path, train, 0, pytest.fail, group=two)
  hook = make(keeper)
  hook._session.group = two
  hook._loop.state = State(jnp.int32(0), jnp.ones(3))
  hook._batches.position, hook._writer = lambda step: step, None
  met = []
  for step in (4, 8):
    names.clear()
    hook.begin(step)
    met.append(len(names))
  keeper.store.close()
  assert met[-1] == scaling_hosts.PER_SAVE  # the first waits for none before it
  assert keeper.store.steps() == [4, 8]


def test_the_last_one_is_waited_for(keeper):
  make(keeper).finish(10)
  assert [x[:2] for x in keeper.saved] == [("finished", 10)]


def test_while_steps_are_not_finite_nothing_is_saved(keeper):
  keeper.wait = lambda: None
  hook = make(keeper)
  hook._loop.state.skipped = 2
  hook.begin(4)
  assert not hook.finish(5) and not keeper.saved
  assert "at step 4: the last 2 steps were not finite" in hook.why_not
  assert hook.due(6, logged=True) and not hook.due(6, logged=False)
  hook._loop.state.skipped = 0
  hook.begin(6)
  assert not hook.due(7, logged=True)
  hook._loop.state.skipped = 1
  assert hook.finish(10)  # a run that has ended is there
  assert [x[:2] for x in keeper.saved] == [("begun", 6), ("finished", 10)]


@pytest.mark.parametrize("how", ("begin", "finish"))
def test_nothing_is_saved_into_a_workdir_that_another_run_took(keeper, how):
  class Lost:
    def check(self):
      raise errors.UserError("taken", "ours", "end")

  with pytest.raises(errors.UserError, match="taken"):
    getattr(make(keeper, lock=Lost()), how)(4)
  assert not keeper.saved
