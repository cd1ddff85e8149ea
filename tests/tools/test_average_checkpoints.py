"""The tool: a file that another run begins from."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.checkpoints import init_from
from jmim.checkpoints import store as checkpoint
from jmim.core import state as states
from jmim.core.settings import run as settings
from jmim.tools import average_checkpoints

KERNEL = np.arange(6, dtype=np.float32).reshape(2, 3)


@pytest.fixture
def workdir(tmp_path):
  zero = jnp.zeros((), jnp.int32)
  store = checkpoint.Checkpoints(tmp_path / "run", keep=3)
  for step, shift in ((2, 0.0), (4, 1.0), (6, 2.0)):
    params = {"main": {"kernel": jnp.asarray(KERNEL + shift)}}
    made = states.State(
      step=zero + step,
      params=params,
      opt={},
      ema={},
      extra={},
      window={},
      counted=zero,
      skipped=zero,
      skipped_total=zero,
    )
    store.save(step, made, {})
    store.wait()
  store.close()
  return tmp_path / "run"


def test_a_run_begins_from_what_it_writes(workdir, tmp_path, capsys):
  out = tmp_path / "mean.npz"
  argv = [f"--workdir={workdir}", f"--out={out}", "--last=2"]
  assert average_checkpoints.main(argv) == 0
  assert "the mean of 2 checkpoints" in capsys.readouterr().out
  like = {"main": {"kernel": jax.ShapeDtypeStruct((2, 3), jnp.float32)}}
  loaded = init_from.load(settings.InitFrom(path=str(out)), like)
  np.testing.assert_array_equal(loaded["main/kernel"], KERNEL + 1.5)


@pytest.mark.parametrize(
  ("argument", "seen"),
  [("--steps=two", "--steps=two"), ("--last=0", "--last=0"), ("--out=x", "x")],
)
def test_mistakes_are_named(workdir, tmp_path, capsys, argument, seen):
  argv = [f"--workdir={workdir}", f"--out={tmp_path}/mean.npz", argument]
  assert average_checkpoints.main(argv) == 2
  assert seen in capsys.readouterr().err
