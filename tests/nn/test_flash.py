"""The TPU kernels, interpreted, against the plain products."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.experimental.pallas import tpu as pltpu

from jmim.core import runtime
from jmim.nn import attention
from jmim.parallel import sharding

B, H, T, S, D = 2, 2, 5, 130, 8


@pytest.fixture(scope="module")
def given():
  rng = np.random.default_rng(0)
  shapes = {"q": (B, H, T, D), "k": (B, H, S, D), "v": (B, H, S, D)}
  found = {n: rng.normal(size=s).astype("f4") for n, s in shapes.items()}
  mask = rng.random((B, S)) < 0.5
  mask[:, 0] = True
  return found | {"mask": mask}


def both(given, bias, **mesh):
  """Output and gradients: [flash, einsum]."""
  weights = np.random.default_rng(1).normal(size=(B, H, T, D)).astype("f4")
  given = {**given, "bias": bias}
  mask = given.pop("mask")

  def loss(inputs, rt):
    y = attention.attend(**inputs, mask=mask, rt=rt)
    return (y * weights).sum(), y

  run = jax.jit(jax.value_and_grad(loss, has_aux=True), static_argnums=1)
  names = ("flash", "einsum")
  with pltpu.force_tpu_interpret_mode():
    return [run(given, runtime.Runtime(attention=n, **mesh)) for n in names]


def agree(found):
  flash, plain = found
  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=2e-5),
    flash,
    plain,
  )


@pytest.mark.parametrize("shape", [(1, H, T, S), (H, T, S), (T, S)], ids=str)
def test_equals_the_plain_products_and_their_gradients(given, shape):
  bias = np.random.default_rng(2).normal(size=shape).astype("f4")
  agree(both(given, bias))


@pytest.mark.parametrize("sizes", [{"data": 2}, {"data": 1, "tensor": 2}])
def test_each_device_has_its_part(given, sizes):
  mesh = sharding.make_mesh(sizes, jax.devices()[:2])
  bias = jnp.ones((1, H, 1, S)) * jnp.arange(S) / S
  agree(both(given, bias, mesh=mesh, batch_axes=sharding.BATCH_AXES))
