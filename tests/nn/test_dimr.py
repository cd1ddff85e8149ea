import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import tree as trees
from jmim.nn import dimr

TAU = jnp.asarray([-0.998, 0.0, 1.0])
W = 6


@pytest.fixture(scope="module")
def parameter(fill):
  module = dimr.TimeParameter(width=W, start=dimr.ONES)
  return module, fill(module, TAU, scale=1.0)["params"]


def test_a_parameter_with_equal_ends_knows_no_time(parameter):
  module, p = parameter
  value = module.apply({"params": p | {"p0": p["p1"]}}, TAU)
  np.testing.assert_allclose(value, np.tile(p["p1"], (3, 1)), rtol=1e-6)
  assert np.ptp(module.apply({"params": p}, TAU), axis=0).min() > 1e-4


def test_a_parameter_is_the_mean_of_its_ends_in_the_middle(parameter):
  module, p = parameter
  p = p | {"slope": 0 * p["slope"], "offset": 0 * p["offset"]}
  value = module.apply({"params": p}, TAU)
  np.testing.assert_allclose(value[1], (p["p0"] + p["p1"]) / 2, atol=1e-6)
  share = 1 / (1 + np.exp(-np.asarray(TAU)))[:, None]
  wanted = share * p["p0"] + (1 - share) * p["p1"]
  np.testing.assert_allclose(value, wanted, atol=1e-6)


def test_steep_parameters_reach_either_end(parameter):
  module, p = parameter
  steep = p | {"slope": 100 * jnp.ones(W), "offset": jnp.zeros(W)}
  value = module.apply({"params": steep}, TAU)
  np.testing.assert_allclose(value[0], p["p1"], atol=1e-6)
  np.testing.assert_allclose(value[2], p["p0"], atol=1e-6)


@pytest.mark.parametrize("kind", ["td_rms", "td_layer", "rms"])
@pytest.mark.parametrize("shape", [(3, 5, W), (3, 2, 4, W)])
def test_norms(kind, shape, fill, normal):
  x, module = normal(*shape), dimr.NORMS[kind]()
  params = fill(module, x, TAU)["params"]
  timed = lambda name: np.asarray(
    dimr.TimeParameter(width=W, start=dimr.ONES).apply(
      {"params": params[name]}, TAU
    )
  )
  beside = lambda p: p.reshape(3, *(1,) * (len(shape) - 2), W)
  rms = x / np.sqrt((x**2).mean(-1, keepdims=True))
  if kind == "td_layer":
    x0 = x - x.mean(-1, keepdims=True)
    flat = x0 / np.sqrt(x.var(-1, keepdims=True) + 1e-5)
    wanted = beside(timed("scale")) * flat + beside(timed("bias"))
  elif kind == "td_rms":
    wanted = beside(timed("scale")) * rms
  else:
    wanted = params["scale"] * rms
  found = module.apply({"params": params}, x, TAU)
  np.testing.assert_allclose(found, wanted, atol=1e-5)


@pytest.mark.parametrize("kind", dimr.NORMS)
def test_norms_of_nothing_have_a_gradient(kind, fill):
  x, module = jnp.zeros((3, 2, W)), dimr.NORMS[kind]()
  cond = jnp.ones((3, 4)) if kind == "adaln" else TAU
  variables = fill(module, x, cond)
  slope = jax.grad(lambda x: module.apply(variables, x, cond).sum())(x)
  assert np.isfinite(slope).all()


def test_the_class_token_tells_a_gain(fill, normal):
  x, module = normal(3, 5, W), dimr.ClassRMSNorm()
  params = fill(module, x, TAU)["params"]
  gain = 1 + x[:, :1] @ params["told"]["kernel"]
  wanted = gain * x / np.sqrt((x**2).mean(-1, keepdims=True) + 1e-6)
  found = module.apply({"params": params}, x, TAU)
  np.testing.assert_allclose(found, wanted, atol=1e-5)
  # A map has no such token: its first row stands for it.
  tall = np.tile(x[:, None], (1, 2, 1, 1))
  told = module.apply({"params": params}, tall, TAU)
  gain = 1 + tall[:, :1] @ params["told"]["kernel"]
  wanted = gain * tall / np.sqrt((tall**2).mean(-1, keepdims=True) + 1e-6)
  np.testing.assert_allclose(told, wanted, atol=1e-5)


def test_adaln_zero_blocks_begin_as_nothing(normal):
  x, cond = normal(2, 5, 8), normal(2, 4)
  block = dimr.Block(hidden=8, heads=2, norm="adaln")
  params = block.init(jax.random.key(0), x, cond=cond)
  found, taps = block.apply(params, x, cond=cond)
  np.testing.assert_array_equal(found, x)
  np.testing.assert_array_equal(taps["block"], x)


def test_a_block_of_maps_convolves_what_is_not_normed(fill, normal):
  x = normal(2, 4, 4, 8)
  block = dimr.Block(hidden=8, kernel=3)
  params = fill(block, x, cond=TAU[:2])["params"]
  quiet = params | {"mlp": jax.tree.map(jnp.zeros_like, params["mlp"])}
  step = lambda x: block.apply({"params": quiet}, x, cond=TAU[:2])[0] - x
  bias = params["depthwise"]["bias"]
  np.testing.assert_allclose(
    step(3 * x) - bias, 3 * (step(x) - bias), atol=1e-4
  )
  names = trees.named(params)
  assert not any(n.startswith(("norm1", "attn")) for n in names)


def test_a_block_that_joins_reads_what_it_is_told(fill, normal):
  x, skip = normal(2, 5, 8), normal(2, 5, 8, seed=1)
  block = dimr.Block(hidden=8, heads=2, joins=True)
  plain = dimr.Block(hidden=8, heads=2)
  params = fill(block, x, cond=TAU[:2])["params"]
  found, _ = block.apply({"params": params}, x, cond=TAU[:2], skip=skip)
  join = params.pop("join")
  both = np.concatenate([x, skip], -1) @ join["kernel"] + join["bias"]
  wanted, _ = plain.apply({"params": params}, both, cond=TAU[:2])
  np.testing.assert_allclose(found, wanted, atol=1e-5)
