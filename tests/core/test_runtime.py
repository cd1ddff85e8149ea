import jax
import jax.numpy as jnp
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


@pytest.mark.parametrize(
  "dim, batch, spec",
  [
    (2, True, P(("data",), None, "tensor")),
    (-1, True, P(("data",), None, "tensor")),
    (1, False, P(None, "tensor", None)),
    (0, False, P("tensor", None, None)),
  ],
)
def test_one_dimension_is_sharded_over_tensor(dim, batch, spec):
  mesh = jax.sharding.AbstractMesh((4, 2), ("data", "tensor"))
  rt = runtime.Runtime(mesh=mesh, batch_axes=("data",))
  jaxpr = jax.make_jaxpr(lambda x: rt.shard_dim(x, dim, batch))
  (eqn,) = jaxpr(np.zeros((8, 6, 4))).eqns
  assert eqn.params["sharding"].spec == spec
  # Three heads over two chips, or no such axis: nothing is constrained.
  assert jaxpr(np.zeros((3, 3, 3))).eqns == []
  none = runtime.Runtime(batch_axes=("data",))
  assert none.shard_dim(np.zeros(3), 0).shape == (3,)


@pytest.mark.parametrize("batch, gathered", [(8, False), (6, True)])
def test_each_device_computes_its_part_of_the_batch(batch, gathered):
  """Left to itself, the compiler gathers the batch for a transform."""
  mesh = jax.sharding.Mesh(np.array(jax.devices()), ("data",))
  rt = runtime.Runtime(mesh=mesh, batch_axes=("data",))
  x = np.arange(batch * 12, dtype=np.float32).reshape(batch, 4, 3)
  split = P("data") if batch == 8 else P()
  placed = jax.device_put(x, jax.sharding.NamedSharding(mesh, split))
  run = jax.jit(lambda x: rt.on_batch(jnp.fft.rfft2, x)).lower(placed).compile()
  np.testing.assert_allclose(run(placed), np.fft.rfft2(x), atol=1e-4)
  shape = f"f32[{batch},4,3]"
  assert (shape in run.as_text()) == gathered
