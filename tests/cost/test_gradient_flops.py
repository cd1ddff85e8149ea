"""Which products count three times in a training step, and which once."""

import jax
import jax.numpy as jnp
import pytest

from jmim.cost import gradient_flops

M, K = 3, 7


def shape(*dims):
  return jax.ShapeDtypeStruct(dims, jnp.float32)


ONE = 2 * M * K * K


def frozen(w, v, x):
  return jax.lax.stop_gradient(x @ w) @ v


def carried(w, v, x):
  """The second carry has a gradient from the second turn on."""

  def turn(carry, _):
    a, b = carry
    return (a @ w, a), (b @ v).sum()

  return jax.lax.scan(turn, (x, x), length=6)[1].sum()


@pytest.mark.parametrize(
  "fn, forward, backward",
  [
    (lambda w, v, x: (x @ v) @ w, 2, 1),
    (lambda w, v, x: (x @ w) @ v, 2, 2),
    (frozen, 2, 0),
    (jax.jit(frozen), 2, 0),
    (jax.checkpoint(frozen), 2, 0),
    (lambda w, v, x: jnp.argsort(x @ w).astype(jnp.float32) @ v, 2, 0),
    (lambda w, v, x: jax.jit(jax.lax.stop_gradient)(x @ w) @ w, 2, 1),
    (carried, 12, 18),
    (
      lambda w, v, x: jax.lax.scan(
        lambda c, _: ((c[1], c[0] @ v), None), (x @ w, x), length=6
      )[0][1],
      7,
      7,
    ),
    (
      lambda w, v, x: jax.lax.scan(
        lambda c, _: (jax.lax.stop_gradient(c) @ w, None), x @ w, length=6
      )[0],
      7,
      6,
    ),
    (
      lambda w, v, x: jax.lax.scan(
        lambda x, u: (x @ v, (x @ u).sum()), x, jnp.stack([v, w])
      )[1],
      4,
      2,
    ),
    (
      lambda w, v, x: (
        jax.lax.cond(x[0, 0] > 0, lambda: x @ v, lambda: x @ w) @ v
      ),
      2,
      2,
    ),
  ],
  ids=[
    "teacher",
    "through",
    "stopped",
    "jit",
    "remat",
    "ids",
    "jit-stop",
    "carry",
    "back",
    "truncated",
    "xs",
    "cond",
  ],
)
def test_a_product_costs_again_for_each_side_with_a_gradient(
  fn, forward, backward
):
  """Of losses with respect to the first argument."""
  found = gradient_flops.count(fn, shape(K, K), shape(K, K), shape(M, K))
  assert found == gradient_flops.Work(forward * ONE, backward * ONE)
  assert found.step == found.forward + found.backward
