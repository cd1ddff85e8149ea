import jax
import numpy as np
import pytest

from jmim.evals.lib import devices
from jmim.parallel import sharding


@pytest.fixture
def eight():
  mesh = sharding.make_mesh({"data": 4, "fsdp": 2}, jax.devices()[:8])
  return devices.Devices(mesh)


def test_a_batch_is_split_over_the_devices_and_comes_back(eight):
  local = {"image": np.arange(48.0).reshape(16, 3), "valid": np.ones(16, bool)}
  put = eight.put(local)
  assert set(put) == {"image"}  # no method reads the others
  shards = put["image"].addressable_shards
  assert len(shards) == 8 and {s.data.shape for s in shards} == {(2, 3)}
  np.testing.assert_array_equal(put["image"], local["image"])
  assert eight.gather(local["image"]) is local["image"]  # one process


@pytest.mark.parametrize("n, rows", [(16, 2), (5, 5)])
def test_a_whole_batch_may_have_any_length(eight, n, rows):
  put = eight.put_whole({"x": np.arange(n), "index": np.arange(n)})
  assert set(put) == {"x"}
  assert {len(s.data) for s in put["x"].addressable_shards} == {rows}
  np.testing.assert_array_equal(put["x"], np.arange(n))


def test_results_are_whole_on_every_device(eight):
  put = eight.put({"x": np.arange(16.0)})["x"]
  out = eight.jit(lambda x: 2 * x)(put)
  assert out.is_fully_replicated
  np.testing.assert_array_equal(out, 2 * np.arange(16.0))
