"""Blocks against numpy; passes in pieces against the whole one."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import runtime
from jmim.nn import causal
from jmim.nn import dropout
from jmim.nn import lm
from jmim.nn import sizes

B, T, W = 2, 6, 16
SIZE = sizes.Size(width=W, depth=2, heads=4, mlp_ratio=2.0)
QWEN2 = dict(
  kv_heads=2, act="swiglu", eps=1e-6, rms=True, theta=100.0, proj_bias=False
)
STYLES = {"fairseq": dict(post=True), "layer norm": {}, "qwen2": QWEN2}


@pytest.fixture(scope="module", params=STYLES)
def net(request):
  return lm.Decoder(size=SIZE, rate=0.5, **STYLES[request.param])


@pytest.fixture(scope="module")
def variables(net):
  rng = np.random.default_rng(0)
  shapes = jax.eval_shape(net.init, jax.random.key(0), jnp.zeros((1, T, W)))
  fill = lambda s: (0.4 * rng.normal(size=s.shape)).astype(s.dtype)
  return jax.tree.map(fill, shapes)


def test_pieces_equal_the_whole(net, variables, normal):
  """A prefix of three at once, then one by one."""
  x = normal(B, T, W)
  taps = ("block", "attention")
  whole = net.apply(variables, x, bias=causal.causal(T, T), taps=taps)
  cache, found = net.empty(B, T), []
  # What was never computed must not be seen.
  cache = jax.tree.map(lambda a: a + 1e3, cache)
  for at, n in ((0, 3), (3, 1), (4, 1), (5, 1)):
    out = net.apply(
      variables,
      x[:, at : at + n],
      bias=causal.causal(n, T, at),
      cache=cache,
      at=at,
      taps=taps,
    )
    cache = out["cache"]
    found.append(out)
  together = lambda name, axis: np.concatenate([o[name] for o in found], axis)
  np.testing.assert_allclose(together("latent", 1), whole["latent"], atol=3e-5)
  np.testing.assert_allclose(together("block", 2), whole["block"], atol=3e-5)
  np.testing.assert_allclose(
    together("attention", 3), whole["attention"], atol=1e-5
  )
  assert cache["k"].shape == (2, B, net.kv_heads or 4, T, W // 4)


def test_later_tokens_are_not_seen(net, variables, normal):
  x, other = normal(B, T, W), normal(B, T, W, seed=1)
  other[:, :4] = x[:, :4]
  run = functools.partial(net.apply, variables, bias=causal.causal(T, T))
  a, b = run(x)["latent"], run(other)["latent"]
  np.testing.assert_allclose(a[:, :4], b[:, :4], atol=1e-6)
  assert np.abs(a[:, 4:] - b[:, 4:]).max() > 1e-2


def test_a_block_sees_all_of_itself_and_text_does_not(net, variables, normal):
  """[text, image, image, image, text, text]: the last of the image changes."""
  x = normal(1, T, W)
  other = x.copy()
  other[:, 3] = normal(W, seed=1)
  bias = causal.by_block(jnp.array([[0, 1, 1, 1, 0, 0]]))
  a, b = (net.apply(variables, z, bias=bias)["latent"] for z in (x, other))
  np.testing.assert_allclose(a[:, 0], b[:, 0], atol=1e-6)
  assert np.abs(a[:, 1:] - b[:, 1:]).max(-1).min() > 1e-3


def test_dropout_is_of_the_keys(net, variables, normal):
  x = normal(B, T, W)
  keys = dropout.draw(jax.random.key(0), 0.5, B)["dropout"]
  still = net.apply(variables, x)["latent"]
  once, twice = (net.apply(variables, x, keys=keys)["latent"] for _ in "ab")
  np.testing.assert_array_equal(once, twice)
  assert np.abs(once - still).max() > 1e-2


def test_scanned_layers_are_the_same(net, variables, normal):
  x = normal(B, T, W)
  scanned = net.clone(rt=runtime.Runtime(scan=True))
  run = lambda net: net.apply(
    variables,
    x,
    bias=causal.causal(T, T),
    cache=net.empty(B, T),
    taps=("block",),
  )
  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, atol=2e-5),
    run(net),
    run(scanned),
  )


def test_qwen2_has_its_parameters():
  net = lm.Decoder(size=SIZE, **QWEN2)
  shapes = jax.eval_shape(net.init, jax.random.key(0), jnp.zeros((1, T, W)))
  layers = shapes["params"]["blocks"]["layers"]
  assert set(layers["mlp"]) == {"gate", "up", "down"}
  assert set(layers["norm1"]) == {"scale"} and set(layers["attn"]["q"]) == {
    "kernel",
    "bias",
  }
  assert set(layers["attn"]["proj"]) == {"kernel"}
  assert layers["attn"]["v"]["kernel"].shape == (2, W, W // 2)


def test_positions_may_be_given(normal):
  """Rotary positions that tell nothing apart: order matters no more."""
  net = lm.Decoder(size=SIZE, **QWEN2)
  x = normal(1, T, W)
  variables = jax.jit(net.init)(jax.random.key(0), x)
  still = jnp.zeros((1, T))
  run = lambda x, **kw: net.apply(variables, x, **kw)["latent"]
  a, b = run(x, positions=still), run(x[:, ::-1], positions=still)
  np.testing.assert_allclose(a, b[:, ::-1], atol=1e-5)
  assert np.abs(run(x) - run(x[:, ::-1])[:, ::-1]).max() > 1e-3


def test_a_post_norm_block_adds_then_normalises(normal):
  net = lm.Decoder(size=SIZE, post=True)
  x = normal(B, T, W)
  variables = jax.jit(net.init)(jax.random.key(0), x)
  assert set(variables["params"]) == {"blocks"}
  out = np.asarray(net.apply(variables, x)["latent"])
  np.testing.assert_allclose(out.mean(-1), 0, atol=1e-5)
  np.testing.assert_allclose(out.var(-1), 1, atol=1e-3)
