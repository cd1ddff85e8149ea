"""Named tensors kept or offloaded, and tokens filled up: same results."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import runtime
from jmim.masks import tokens as masking
from jmim.methods.mim import mae
from jmim.nn import block
from jmim.nn import stack

B, T, W, HEADS, DEPTH = 2, 5, 8, 2, 3


def make(**rt):
  how = runtime.Runtime(remat="names", **rt)
  layer = lambda: block.Block(heads=HEADS, rt=how, parent=None)
  return stack.Stack(layer, DEPTH, how)


@pytest.fixture(scope="module")
def case():
  x = np.random.default_rng(0).normal(size=(B, T, W)).astype(np.float32)
  variables = make().init(jax.random.key(0), x)
  return variables, x


def gradient(module, variables, x):
  loss = lambda v: (module.apply(v, x)[0] ** 2).sum()
  return jax.grad(loss)(variables)


def products(jaxpr):
  """Shapes of the outputs of all products, inner programs included."""
  found = []
  for eqn in jaxpr.eqns:
    if eqn.primitive.name == "dot_general":
      found.append(eqn.outvars[0].aval.shape)
    for value in jax.tree.leaves(list(eqn.params.values())):
      inner = getattr(value, "jaxpr", value)
      if hasattr(inner, "eqns"):
        found += products(inner)
  return found


@pytest.mark.parametrize(
  "name, shape", [("qkv", (B, T, 3 * W)), ("hidden", (B, T, 4 * W))]
)
@pytest.mark.parametrize("where", ["remat_save", "remat_offload"])
def test_a_named_product_is_not_computed_again(case, name, shape, where):
  def count(**rt):
    jaxpr = jax.make_jaxpr(lambda v, x: gradient(make(**rt), v, x))(*case)
    return products(jaxpr.jaxpr).count(shape)

  assert count() - count(**{where: (name,)}) == DEPTH


@pytest.mark.parametrize("scan", [False, True])
def test_keeping_names_changes_no_gradient(case, scan):
  plain = make()
  plain = plain.clone(rt=runtime.Runtime())
  wanted = gradient(plain, *case)
  kept = make(remat_save=("qkv", "middle"), scan=scan)
  found = jax.jit(lambda v, x: gradient(kept, v, x))(*case)
  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-4, atol=2e-4),
    found,
    wanted,
  )


def test_blocks_have_all_the_names(case):
  jaxpr = str(jax.make_jaxpr(lambda v, x: make().apply(v, x)[0])(*case))
  for name in stack.NAMES:
    assert f"name={name}" in jaxpr


def test_offloaded_tensors_go_to_the_host(case):
  module = make(remat_offload=("hidden",))
  jaxpr = str(jax.make_jaxpr(lambda v, x: gradient(module, v, x))(*case))
  assert "Host" in jaxpr or "pinned_host" in jaxpr


def test_tokens_filled_up_change_no_loss():
  method = mae.MAE.tiny()
  rng = np.random.default_rng(0)
  batch = {"image": rng.normal(size=(B, 16, 16, 3)).astype(np.float32)}
  params, extra = method.init(jax.random.key(0), batch)
  draws = method.draw(jax.random.key(1), batch, 0)

  def loss(pad):
    own = dataclasses.replace(method, rt=runtime.Runtime(pad_tokens=pad))
    one = lambda p: own.loss("main", p, extra, {}, batch, draws, 0)[0]
    return jax.value_and_grad(one), str(jax.make_jaxpr(one)(params))

  plain, text = loss(1)
  padded, padded_text = loss(8)
  # 4 kept patches and a class token fill up to 8, 17 of the decoder to 24.
  assert "f32[2,8,32]" in padded_text and "f32[2,24,16]" in padded_text
  assert "f32[2,8,32]" not in text
  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5),
    jax.jit(padded)(params),
    jax.jit(plain)(params),
  )


def test_filling_up():
  x = jnp.ones((B, T, W))
  same, seen = masking.fill_up(x, None, 5)
  assert same is x and seen is None
  more, seen = masking.fill_up(x, None, 4)
  assert more.shape == (B, 8, W) and not np.any(more[:, T:])
  np.testing.assert_array_equal(seen, [[True] * T + [False] * 3] * B)
  given = jnp.array([[True, False, True, True, True]] * B)
  _, seen = masking.fill_up(x, given, 4)
  np.testing.assert_array_equal(seen[:, :T], given)
