"""A checkpoint of any mesh, scanned or unrolled, goes on on any other."""

import functools
import itertools
import pathlib
import sys

import jax
import numpy as np
import pytest

from jmim.checkpoints import store as checkpoint
from jmim.core import discovery
from jmim.core import tree as trees

sys.path.append(str(pathlib.Path(__file__).parent / "contract"))
import harness  # noqa: E402

# devices, fsdp, scan
PLACES = [
  place
  for place in itertools.product((1, 2, 8), (False, True), (False, True))
  if place[0] > 1 or not place[1]
]


@functools.cache
def place(devices, fsdp, scan):
  """(tiny run, its first state)."""
  fsdp = devices if fsdp else 1
  cls = discovery.find("mim.mae")
  run = harness.tiny(cls, devices=devices, fsdp=fsdp, scan=scan)
  batch = run.put(harness.make_batch(run.method))
  init = jax.jit(run.step.init, out_shardings=run.where)
  return run, init(batch, run.consts)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
  """Place -> (workdir, its state after two steps, losses of the next two)."""
  found = {}
  for at in PLACES:
    run, fresh = place(*at)
    state, _ = run.run(fresh, 2)
    workdir = tmp_path_factory.mktemp("run")
    store = checkpoint.Checkpoints(workdir)
    store.save(2, state, {})
    store.close()
    after = [x["loss"] for x in run.run(state, 2)[1]]
    bits = {n: np.asarray(x) for n, x in trees.named(state).items()}
    found[at] = workdir, bits, after
  return found


@pytest.mark.slow
@pytest.mark.parametrize("there", PLACES, ids=str)
def test_every_place_goes_on_where_any_other_stopped(saved, there):
  run, fresh = place(*there)
  like = jax.tree.map(
    lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=x.sharding), fresh
  )
  for workdir, bits, after in saved.values():
    store = checkpoint.Checkpoints(workdir, write=False)
    state = store.restore(2, like)
    store.close()
    for name, leaf in trees.named(state).items():
      assert np.asarray(leaf).tobytes() == bits[name].tobytes(), name
    found = [x["loss"] for x in run.run(state, 2)[1]]
    np.testing.assert_allclose(found, after, rtol=1e-6)
