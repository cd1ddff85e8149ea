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
