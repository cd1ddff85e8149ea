import jax
import jax.numpy as jnp
import pytest

from jmim.cost import flops
from jmim.cost import flops_by_leaf


def array(*dims):
  return jax.ShapeDtypeStruct(dims, jnp.float32)


PARAMS = {
  "pos": array(6, 8),
  "qkv": {"kernel": array(8, 24), "bias": array(24)},
  "out": array(8, 8),
  "layers": array(3, 8, 8),
}


def attention(p, x):
  x = x + p["pos"].astype(jnp.float32)
  y = x @ p["qkv"]["kernel"] + p["qkv"]["bias"]
  q, k, v = jnp.split(y, 3, axis=-1)
  weights = jax.nn.softmax(q @ k.T)
  return (weights @ v) @ p["out"]


def test_products_count_for_their_parameter_or_the_last_before_them():
  found = flops_by_leaf.count(attention, PARAMS, array(6, 8))
  assert found == {
    "qkv/kernel": 2 * 6 * 8 * 24,
    "qkv/bias": 2 * (2 * 6 * 6 * 8),  # q k' and weights v
    "out": 2 * 6 * 8 * 8,
  }


def through(p, x):
  x = jax.jit(attention)(p, x)
  x = jax.lax.scan(lambda c, w: (jnp.tanh(c @ w), None), x, p["layers"])[0]
  x = jax.checkpoint(lambda a: a @ p["out"].T)(x)
  return jax.lax.cond(x.sum() > 0, lambda a: a @ p["out"], lambda a: a, x)


def test_scans_calls_and_branches_sum_to_the_whole():
  found = flops_by_leaf.count(through, PARAMS, array(6, 8))
  assert found["layers"] == 3 * 2 * 6 * 8 * 8
  assert found["out"] == 3 * 2 * 6 * 8 * 8
  assert sum(found.values()) == flops.count(through, PARAMS, array(6, 8))


def test_what_no_parameter_led_to_has_no_name():
  found = flops_by_leaf.count(lambda p, x: (x @ x.T) @ x, {}, array(4, 4))
  assert found == {"": 2 * 2 * 4**3}


@pytest.mark.parametrize("frozen", [True, False])
def test_unused_products_count_nothing(frozen):
  def fn(p, x):
    unused = x @ p["a"]
    return x.sum() + (0 if frozen else unused.sum())

  found = flops_by_leaf.count(fn, {"a": array(4, 4)}, array(4, 4))
  assert found == ({} if frozen else {"a": 2 * 4**3})
