import jax
import jax.numpy as jnp
import numpy as np

from jmim.core import runtime
from jmim.cost import hlo
from jmim.nn import dense

PLAIN, FLAT = runtime.Runtime(), runtime.Runtime(flat="all")


def test_flat_products_are_the_same_products(normal):
  x, k = jnp.asarray(normal(2, 5, 6)), jnp.asarray(normal(6, 4))
  found = dense.product(FLAT, x, k)
  np.testing.assert_allclose(found, x @ k, rtol=1e-5, atol=1e-6)
  layer = dense.dense(FLAT, 4)
  params = layer.init(jax.random.key(0), x)
  np.testing.assert_allclose(
    layer.apply(params, x),
    dense.dense(PLAIN, 4).apply(params, x),
    rtol=1e-5,
    atol=1e-6,
  )


def test_tokens_that_fill_the_unit_stay_as_they_are(normal):
  uneven, k = runtime.Runtime(flat="uneven"), jnp.asarray(normal(6, 4))
  for shape, is_flat in (((2, 50), True), ((2, 128), False), ((50,), False)):
    x = jnp.asarray(normal(*shape, 6))
    run = lambda x, k: dense.product(uneven, x, k)
    traced = str(jax.make_jaxpr(run)(x, k))
    assert ("reshape" in traced) == is_flat
    np.testing.assert_allclose(run(x, k), x @ k, rtol=1e-5, atol=1e-6)


def test_the_gradient_of_a_flat_product_copies_nothing(normal):
  x, g = jnp.asarray(normal(2, 64, 32)), jnp.asarray(normal(2, 64, 48))
  k = jnp.asarray(normal(32, 48))

  def copies(rt):
    back = lambda x, k, g: jax.vjp(lambda k: dense.product(rt, x, k), k)[1](g)
    text = jax.jit(back).lower(x, k, g).compile().as_text()
    program = hlo.parse(text).computations.values()
    ops = [op.opcode for part in program for op in part.values()]
    return ops.count("copy") + ops.count("transpose")

  assert copies(FLAT) == 0


def test_what_is_computed_again_stays_flat(normal):
  again = runtime.Runtime(flat="uneven", remat="full")
  x, k = jnp.asarray(normal(2, 50, 6)), jnp.asarray(normal(6, 4))
  loss = lambda rt: lambda x, k: (dense.product(rt, x, k) ** 2).sum()
  traced = str(jax.make_jaxpr(loss(again))(x, k))
  assert "optimization_barrier" in traced
  once = runtime.Runtime(flat="uneven")
  assert "optimization_barrier" not in str(jax.make_jaxpr(loss(once))(x, k))
  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5),
    jax.grad(loss(again), (0, 1))(x, k),
    jax.grad(loss(PLAIN), (0, 1))(x, k),
  )
