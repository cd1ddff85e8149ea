"""A save of which every write call in turn fails.

A shim between the program and libc (`write_faults.c`) counts the calls that
change files below a folder and makes one of them, or one and all after it,
fail. Whatever fails, the earlier checkpoint stays, no damaged one is seen, a
failure is told, and the next save succeeds.
"""

import ctypes
import errno
import itertools
import os
import pathlib
import shutil
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.checkpoints import store as checkpoint
from jmim.core import errors

HERE = pathlib.Path(__file__).parent


def state(step):
  return {"params": {"w": jnp.arange(300.0) * step}, "step": jnp.int32(step)}


def check(workdir, expected):
  """The steps that are seen, each of them as it was saved."""
  one = jax.sharding.SingleDeviceSharding(jax.devices()[0])
  store = checkpoint.Checkpoints(workdir)
  steps = store.steps()
  assert set(steps) in expected, (steps, expected)
  for step in steps:
    like = jax.tree.map(
      lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=one),
      state(step),
    )
    found = store.restore(step, like)
    jax.tree.map(np.testing.assert_array_equal, found, state(step))
  store.close()
  left = {p.name for p in store.path.iterdir()}
  assert left == {str(step) for step in steps}, left


def faulty(workdir, shim, n, code, sticky):
  """Saves step 2 with the n-th call failing: (calls, whether it was told)."""
  store, told = checkpoint.Checkpoints(workdir), False
  shim.fault_arm(n, code, sticky)
  for part in (lambda: store.save(2, state(2), {}), store.wait):
    try:
      part()
    except errors.NotSaved:
      told = True
  calls = shim.fault_count()
  shim.fault_arm(0, 0, 0)
  crashed = workdir.with_name("crashed")  # what a kill would leave now
  # Not shutil: threads of Orbax may still be writing what is thrown away.
  subprocess.run(["cp", "-r", workdir, crashed], stderr=subprocess.DEVNULL)
  check(crashed, [{1}, {1, 2}] if told else [{1, 2}])
  shutil.rmtree(crashed)
  if told:  # the disk is well again
    store.save(2, state(2), {})
    store.wait()
  store.close()
  return calls, told


def main(code, sticky):
  """Prints how many calls a save has, once all of them have failed."""
  folder = pathlib.Path(os.environ["FAULT_DIR"])
  shim = ctypes.CDLL(None)
  store = checkpoint.Checkpoints(folder / "whole")
  store.save(1, state(1), {})
  store.close()
  calls, told = None, 0
  for n in itertools.count():
    if calls is not None and n > calls:
      break
    workdir = folder / "run"
    shutil.copytree(folder / "whole", workdir)
    found, heard = faulty(workdir, shim, n=n, code=code, sticky=sticky)
    calls, told = calls or found, told + heard  # n = 0: nothing fails
    check(workdir, [{1, 2}])
    shutil.rmtree(workdir)
  print(f"CALLS {calls} TOLD {told}")


@pytest.fixture(scope="session")
def shim(tmp_path_factory):
  if not shutil.which("cc") or sys.platform != "linux":
    pytest.skip("needs a C compiler, on Linux")
  library = tmp_path_factory.mktemp("shim") / "write_faults.so"
  source = HERE / "write_faults.c"
  command = ["cc", "-shared", "-fPIC", "-O1", "-o", library, source, "-ldl"]
  subprocess.run(command, check=True)
  return library


@pytest.mark.slow
@pytest.mark.parametrize(
  "name, sticky",
  [("ENOSPC", True), ("EIO", False), ("EROFS", True), ("ENOSPC", False)],
)
def test_any_write_call_of_a_save_may_fail(shim, tmp_path, name, sticky):
  code = (
    f"import sys; sys.path[:0] = [{str(HERE)!r}, {str(HERE.parents[1])!r}]\n"
    "import test_write_faults as t\n"
    f"t.main({getattr(errno, name)}, {int(sticky)})"
  )
  done = subprocess.run(
    [sys.executable, "-c", code],
    env={**os.environ, "LD_PRELOAD": str(shim), "FAULT_DIR": str(tmp_path)},
    capture_output=True,
    text=True,
  )
  assert done.returncode == 0, done.stderr[-3000:]
  word, calls, _, told = done.stdout.split()[-4:]
  assert word == "CALLS"
  # Some calls may fail unnoticed: those of a folder that exists already.
  assert int(calls) > 20 and int(told) > int(calls) // 2
