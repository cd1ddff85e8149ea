"""Written-out derivatives against those that JAX finds by itself."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.nn import norm
from jmim.nn import recompute

PAIRS = {
  "gelu": (recompute.gelu, functools.partial(jax.nn.gelu, approximate=False)),
  "gelu_tanh": (recompute.gelu_tanh, functools.partial(jax.nn.gelu)),
  "softmax": (recompute.softmax, jax.nn.softmax),
}


def derivatives(f, x, t):
  """Value, reverse, forward, and the gradient of a forward derivative."""
  ahead = lambda x: jax.jvp(f, (x,), (t,))[1]
  back = jax.vjp(f, x)[1](t)[0]
  second = jax.grad(lambda x: (ahead(x) ** 2).sum())(x)
  return {"value": f(x), "back": back, "ahead": ahead(x), "second": second}


def compare(found, wanted):
  for name, value in wanted.items():
    np.testing.assert_allclose(
      found[name], value, rtol=1e-4, atol=2e-5, err_msg=name
    )


@pytest.mark.parametrize("name", PAIRS)
def test_derivatives_are_those_of_the_plain_function(name, normal):
  ours, plain = PAIRS[name]
  x, t = jnp.asarray(3 * normal(4, 9)), jnp.asarray(normal(4, 9))
  compare(derivatives(ours, x, t), derivatives(plain, x, t))


@pytest.mark.parametrize("affine", [True, False])
def test_layer_norm_is_that_of_flax(affine, normal):
  ours = norm.LayerNorm(
    epsilon=1e-6, dtype=None, use_bias=affine, use_scale=affine
  )
  plain = nn.LayerNorm(
    epsilon=1e-6, use_bias=affine, use_scale=affine, use_fast_variance=False
  )
  x, t = jnp.asarray(5 + 3 * normal(4, 9)), jnp.asarray(normal(4, 9))
  params = jax.jit(plain.init)(jax.random.key(0), x)
  assert jax.tree.structure(params) == jax.tree.structure(
    ours.init(jax.random.key(0), x)
  )
  params = jax.tree.map(lambda p: p + jnp.asarray(normal(*p.shape)), params)
  own = lambda m: jax.grad(lambda p: (m.apply(p, x) * t).sum())(params)
  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5),
    own(ours),
    own(plain),
  )
  at = lambda m: derivatives(lambda x: m.apply(params, x), x, t)
  compare(at(ours), at(plain))


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_backward_passes_keep_one_array_only(dtype, normal):
  x = jnp.asarray(normal(4, 8), dtype)

  def large(f, *more):
    kept = jax.tree.leaves(jax.vjp(f, x, *more)[1])
    return sum(getattr(a, "size", 0) >= x.size for a in kept)

  assert large(lambda x: 0.5 * x * (1 + jax.lax.erf(x))) > 1  # of the plain one
  assert large(recompute.gelu) == large(recompute.gelu_tanh) == 1
  assert large(lambda x: recompute.softmax(x, dtype)) == 1
  layer = lambda x, s, b: recompute.layer_norm(
    x, s, bias=b, eps=1e-6, dtype=dtype
  )
  assert large(layer, jnp.ones(8), jnp.ones(8)) == 1


def test_results_have_the_dtype_asked_for(normal):
  x = jnp.asarray(normal(4, 8), jnp.bfloat16)
  assert recompute.softmax(x).dtype == jnp.float32
  assert recompute.softmax(x, jnp.bfloat16).dtype == jnp.bfloat16
  assert (
    norm.LayerNorm()
    .apply({"params": {"scale": jnp.ones(8), "bias": jnp.zeros(8)}}, x)
    .dtype
    == jnp.bfloat16
  )
