import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.methods.parts import token_network

TINY = token_network.TokenNetwork(codes=5, length=8, width=16, depth=1, heads=2)


@pytest.fixture(scope="module")
def tokens():
  rng = np.random.default_rng(0)
  return jnp.asarray(rng.integers(0, 5, (3, 8)))


def random_params(net):
  rng = np.random.default_rng(2)
  shapes = jax.eval_shape(net.init, jax.random.key(0))
  fill = lambda s: (0.2 * rng.normal(size=s.shape)).astype(s.dtype)
  return jax.tree.map(fill, shapes)


def test_mask_is_one_more_token_that_is_never_read():
  assert TINY.mask_id == 5
  assert TINY.inputs()["tokens"].high == 5
  table = random_params(TINY)["token_embed"]["embedding"]
  assert table.shape == (6, 16)


def test_the_time_reaches_a_timed_network_only(tokens):
  t = jnp.array([0.1, 0.5, 0.9])
  x = jnp.broadcast_to(tokens[:1], tokens.shape)
  for timed in (False, True):
    net = dataclasses.replace(TINY, timed=timed)
    logits = jax.jit(net.logits)(random_params(net), x, t)
    assert logits.shape == (3, 8, 6)
    assert bool(jnp.allclose(logits[0], logits[2])) != timed


def test_features_are_the_mean_of_the_latents_at_time_zero(tokens):
  net = dataclasses.replace(TINY, timed=True)
  params = random_params(net)
  out = net.net.apply({"params": params}, tokens, jnp.zeros(3))
  features = net.features(params, tokens)
  np.testing.assert_allclose(features, out["latent"].mean(1), rtol=1e-6)


def test_heads_must_divide_the_width():
  with pytest.raises(ValueError, match="width 16 with heads 3"):
    dataclasses.replace(TINY, heads=3).inputs()
