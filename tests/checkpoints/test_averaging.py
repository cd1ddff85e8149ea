"""The mean of several checkpoints."""

import jax.numpy as jnp
import numpy as np
import pytest

from jmim.checkpoints import averaging
from jmim.checkpoints import store as checkpoint
from jmim.core import errors
from jmim.core import state as states

KERNEL = np.arange(6, dtype=np.float32).reshape(2, 3)


def state(shift, width=3, ema=True):
  zero = jnp.zeros((), jnp.int32)
  params = {"main": {"kernel": jnp.asarray(KERNEL[:, :width] + shift)}}
  return states.State(
    step=zero,
    params=params,
    opt={},
    ema={"main": {"kernel": -params["main"]["kernel"]}} if ema else {},
    extra={},
    window={},
    counted=zero,
    skipped=zero,
    skipped_total=zero,
  )


@pytest.fixture
def run(tmp_path):
  """Makes a run: its name, step -> state."""

  def make(name, steps):
    store = checkpoint.Checkpoints(tmp_path / name, keep=len(steps))
    for step, saved in steps.items():
      store.save(step, saved, {})
      store.wait()
    store.close()
    return tmp_path / name

  return make


def test_the_mean_is_of_each_chosen_checkpoint_alike(run):
  one = run("one", {2: state(0.0), 4: state(10.0), 6: state(20.0)})
  two = run("two", {4: state(60.0)})
  last = averaging.places([one], last=2)
  assert last == [(one, 4), (one, 6)]
  found = averaging.mean(last, "params")
  np.testing.assert_array_equal(found["main/kernel"], KERNEL + 15)
  assert found["main/kernel"].dtype == np.float32
  chosen = averaging.places([one], steps=(2, 6))
  np.testing.assert_array_equal(
    averaging.mean(chosen, "ema")["main/kernel"], -(KERNEL + 10)
  )
  both = averaging.places([one, two], steps=(4,))
  np.testing.assert_array_equal(
    averaging.mean(both, "params")["main/kernel"], KERNEL + 35
  )


def test_what_cannot_be_averaged_is_refused(run):
  one = run("one", {2: state(0.0), 4: state(0.0, ema=False)})
  narrow = run("narrow", {4: state(0.0, width=2)})
  with pytest.raises(errors.UserError, match="no checkpoint of step 3"):
    averaging.places([one], steps=(3,))
  with pytest.raises(errors.UserError, match="has 2 checkpoints"):
    averaging.places([one], last=3)
  with pytest.raises(errors.UserError, match="kernel"):
    averaging.mean([(one, 4), (narrow, 4)], "params")
  with pytest.raises(errors.UserError, match="no ema"):
    averaging.mean([(one, 2), (one, 4)], "ema")
