import jax
import numpy as np
import pytest

from jmim.core import runtime

P = jax.sharding.PartitionSpec


def _constraints(rt, shape):
  """Specs of the sharding constraints that `rt.shard` puts on an array."""
  jaxpr = jax.make_jaxpr(rt.shard)(np.zeros(shape))
  return [e.params["sharding"].spec for e in jaxpr.eqns]


@pytest.fixture(scope="module")
def mesh():
  return jax.sharding.AbstractMesh((4, 2), ("data", "fsdp"))


def test_without_a_mesh_nothing_is_constrained():
  assert _constraints(runtime.Runtime(), (8, 3)) == []


def test_only_the_batch_is_split(mesh):
  rt = runtime.Runtime(mesh=mesh, batch_axes=("data",))
  assert _constraints(rt, (8, 5, 3)) == [P("data", None, None)]
  rt = runtime.Runtime(mesh=mesh, batch_axes=("data", "fsdp"))
  assert _constraints(rt, (8,)) == [P(("data", "fsdp"))]


@pytest.mark.parametrize("batch", [1, 6, 9])
def test_a_batch_that_does_not_divide_is_left_alone(mesh, batch):
  rt = runtime.Runtime(mesh=mesh, batch_axes=("data",))
  assert _constraints(rt, (batch, 3)) == []


def test_values_do_not_change():
  mesh = jax.sharding.Mesh(np.array(jax.devices()[:1]), ("data",))
  rt = runtime.Runtime(mesh=mesh, batch_axes=("data",))
  x = np.arange(12.0, dtype=np.float32).reshape(4, 3)
  np.testing.assert_array_equal(jax.jit(rt.shard)(x), x)
