"""CosFace: the margin, and prototypes split by class."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jmim.core import runtime
from jmim.methods.parts import cosface
from jmim.parallel import sharding

RNG = np.random.default_rng(0)
F, V = RNG.normal(size=(8, 5)), RNG.normal(size=(16, 5))
F, V = jnp.asarray(F, jnp.float32), jnp.asarray(V, jnp.float32)
Y = jnp.asarray(RNG.integers(16, size=8))
HEAD = cosface.CosFace(classes=16)


def exact():
  """Cosines in float64."""
  unit = lambda x: x / np.linalg.norm(x, axis=1, keepdims=True)
  return unit(np.float64(F)) @ unit(np.float64(V)).T


def test_the_margin_is_taken_from_the_right_class():
  cosines = HEAD.cosines(V, F)
  np.testing.assert_allclose(cosines, exact(), atol=1e-6)
  wanted = 64 * (exact() - 0.35 * np.eye(16)[np.asarray(Y)])
  np.testing.assert_allclose(HEAD.logits(cosines, Y), wanted, atol=1e-4)


def test_without_margin_at_scale_1_it_is_the_plain_softmax():
  plain = dataclasses.replace(HEAD, scale=1.0, margin=0.0)
  found = plain.cost(plain.cosines(V, F), Y)
  wanted = optax.softmax_cross_entropy_with_integer_labels(
    jnp.asarray(exact(), jnp.float32), Y
  )
  np.testing.assert_allclose(found, wanted, atol=1e-6)


@pytest.mark.parametrize("factor", [1e-3, 7.0])
def test_lengths_do_not_count(factor):
  cost = lambda f, v: HEAD.cost(HEAD.cosines(v, f), Y)
  np.testing.assert_allclose(cost(factor * F, V), cost(F, V), rtol=1e-4)
  np.testing.assert_allclose(cost(F, factor * V), cost(F, V), rtol=1e-4)


def test_a_vector_of_zeros_is_near_nothing_and_has_a_gradient():
  loss = lambda f: HEAD.cost(HEAD.cosines(V, f), Y).sum()
  zero = F.at[0].set(0.0)
  np.testing.assert_array_equal(HEAD.cosines(V, zero)[0], 0.0)
  assert np.isfinite(jax.grad(loss)(zero)).all()


def test_every_device_has_some_of_the_classes():
  mesh = sharding.make_mesh({"data": 2, "fsdp": 4}, jax.devices()[:8])
  rt = runtime.Runtime(mesh=mesh, batch_axes=sharding.BATCH_AXES)
  head = dataclasses.replace(HEAD, rt=rt)
  layout = sharding.Layout(mesh, axes=[head.axes("/prototypes$")])
  names = {"params": {"main": {"prototypes": V}}, "opt": {"mu": {}}}
  spec = layout.tree(names)["params"]["main"]["prototypes"]
  assert spec.spec == jax.sharding.PartitionSpec("fsdp")
  put = lambda x, where: jax.device_put(x, where)
  batch = sharding.batch_sharding(mesh)
  step = jax.jit(
    jax.value_and_grad(
      lambda v, f, y: head.cost(head.cosines(v, f), y).mean(), argnums=(0, 1)
    ),
    out_shardings=(None, (spec, batch)),
  )
  arguments = put(V, spec), put(F, batch), put(Y, batch)
  value, (gv, gf) = step(*arguments)
  alone, (av, af) = jax.value_and_grad(
    lambda v, f: HEAD.cost(HEAD.cosines(v, f), Y).mean(), argnums=(0, 1)
  )(V, F)
  np.testing.assert_allclose(value, alone, rtol=1e-5)
  np.testing.assert_allclose(gv, av, atol=1e-5)
  np.testing.assert_allclose(gf, af, atol=1e-5)
  # Neither all prototypes nor all logits are anywhere.
  program = step.lower(*arguments).compile().as_text()
  for shape in ("f32[16,5]", "f32[8,16]"):
    assert shape not in program, shape
  assert "f32[4,4]" in program  # of each: half the batch, a quarter of classes
