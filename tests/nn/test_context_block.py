"""The block with a context: its scales, biases and MLP."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import tree as trees
from jmim.nn import context_block

RNG = np.random.default_rng(0)
X = RNG.normal(size=(2, 4, 8)).astype(np.float32)
CONTEXT = RNG.normal(size=(2, 3, 6)).astype(np.float32)
PARTS = {"self": "attn1", "cross": "attn2", "ff": "ff"}


def block(**fields):
  return context_block.Block(heads=2, **fields)


def run(net, params, context=CONTEXT):
  return net.apply({"params": params}, X, context)


def only_scales(params):
  return {k: v for k, v in trees.named(params).items() if "gamma" in k}


def test_scales_of_one_change_nothing(fill):
  """They start at 1, and the same block without them gives the same."""
  scaled = block(scales=context_block.SCALES)
  fresh = jax.jit(scaled.init)(jax.random.key(0), X, CONTEXT)["params"]
  scales = only_scales(fresh)
  assert len(scales) == 11
  assert all((v == 1).all() for v in scales.values())
  plain = fill(block(), X, CONTEXT)["params"]
  both = trees.nested(trees.named(plain) | scales)
  np.testing.assert_array_equal(run(scaled, both)[0], run(block(), plain)[0])


@pytest.mark.parametrize("part", PARTS)
def test_the_gradient_of_a_scale_is_that_of_what_it_scales(fill, part):
  """d L / d gamma = sum over tokens of (d L / d (gamma h)) h, with h = 1."""
  net = block(scales=("block",))
  params = fill(net, X, CONTEXT)["params"]
  name = f"gamma_{PARTS[part]}"

  def loss(gamma):
    return (run(net, params | {name: gamma})[0] ** 2).mean()

  grad = jax.jit(jax.grad(loss))(params[name])
  # The last part is added last: its gradient is in closed form.
  if part == "ff":
    y, found = run(net, params)
    expected = (2 * y / y.size * found["ff"]).sum((0, 1))
    np.testing.assert_allclose(grad, expected, rtol=1e-4, atol=1e-6)
  step = 1e-2 * np.eye(8, dtype=np.float32)[3]
  slope = (loss(params[name] + step) - loss(params[name] - step)) / 2e-2
  np.testing.assert_allclose(grad[3], slope, rtol=2e-2, atol=1e-4)


@pytest.mark.parametrize("gated", [True, False])
def test_the_mlp_is_gated_or_not(fill, gated):
  net = block(gated=gated)
  params = fill(net, X, CONTEXT)["params"]
  assert params["fc1"]["kernel"].shape == (8, 64 if gated else 32)
  _, found = run(net, params)
  y = X + found["self"] + found["cross"]
  z = (y - y.mean(-1, keepdims=True)) / jnp.sqrt(y.var(-1) + 1e-5)[..., None]
  z = z * params["norm3"]["scale"] + params["norm3"]["bias"]
  z = z @ params["fc1"]["kernel"] + params["fc1"]["bias"]
  value, gate = (z[..., :32], z[..., 32:]) if gated else (1.0, z)
  z = value * gate * (1 + jax.scipy.special.erf(gate / np.sqrt(2))) / 2
  expected = z @ params["fc2"]["kernel"] + params["fc2"]["bias"]
  np.testing.assert_allclose(found["ff"], expected, atol=1e-4)


@pytest.mark.parametrize("scales", [(), ("attention",)])
def test_attentions_may_have_biases(fill, scales):
  params = fill(block(attention_bias=True, scales=scales), X, CONTEXT)["params"]
  without = fill(block(scales=scales), X, CONTEXT)["params"]
  for name in ("self", "cross"):
    assert all("bias" in params[name][x] for x in ("q", "k", "v", "proj"))
    assert not any("bias" in without[name][x] for x in "qkv")


def test_scales_inside_are_those_of_four_maps(fill):
  """A scale on q is the map to q, scaled, and so for the others."""
  net = block(scales=("attention",), attention_bias=True)
  params = fill(net, X, CONTEXT)["params"]
  folded = jax.tree.map(np.copy, params)
  for name in ("self", "cross"):
    for x, leaf in (("q", "q"), ("k", "k"), ("v", "v"), ("proj", "fnn")):
      gamma, layer = folded[name][f"gamma_{leaf}"], folded[name][x]
      folded[name][x] = {k: w * gamma for k, w in layer.items()}
      folded[name][f"gamma_{leaf}"] = np.ones_like(gamma)
  np.testing.assert_allclose(
    run(net, folded)[0], run(net, params)[0], rtol=1e-4, atol=1e-5
  )


def test_an_unknown_scale_is_refused():
  with pytest.raises(ValueError, match="'qkv'"):
    block(scales=("qkv",)).init(jax.random.key(0), X, CONTEXT)
