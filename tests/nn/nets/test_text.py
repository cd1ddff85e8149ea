"""CLIP's text encoder; its numbers are compared in tests/convert/tables."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.nn import sizes
from jmim.nn.nets import text

END, L = 2, 6
SIZE = sizes.Size(width=8, depth=3, heads=2, mlp_ratio=2.0)
IDS = jnp.array([[1, 5, 7, END, 0, 0], [1, 9, 4, 6, 8, END]])


def make(**options):
  return text.TextEncoder(size=SIZE, vocabulary=11, length=L, **options)


@functools.cache
def params():
  fresh = make(projection=5).init(jax.random.key(0), IDS, end=END)["params"]
  noise = np.random.default_rng(0)
  return jax.tree.map(
    lambda x: x + 0.3 * noise.normal(size=x.shape).astype("f4"), fresh
  )


def run(ids=IDS, layer=1, pooled=True, own=None, **options):
  net = make(**({"projection": 5} | options))
  apply = functools.partial(net.apply, end=END, layer=layer, pooled=pooled)
  return apply({"params": own or params()}, ids)


@pytest.mark.parametrize("causal", [True, False])
def test_who_sees_whom(causal):
  before = run(causal=causal)
  after = run(IDS.at[0, 2].set(10), causal=causal)
  moved = np.abs(after.tokens - before.tokens).max(-1)[0] > 1e-6
  # Not causal: all up to the end see it, and what is behind, too.
  assert moved.tolist() == [not causal, not causal, True, True, True, True]
  padded = run(IDS.at[0, 5].set(10), causal=causal)
  same = np.isclose(padded.tokens, before.tokens, atol=1e-6).all(-1)[0]
  assert same.tolist() == [True] * 5 + [False]
  np.testing.assert_allclose(padded.pooled, before.pooled, atol=1e-6)


def test_one_vector_is_that_of_the_first_end_or_of_the_last_place():
  ids = jnp.stack([IDS[0].at[4].set(END), jnp.full(L, 5)])
  found = run(ids)
  map_ = params()["projection"]["kernel"]
  at = jnp.stack([found.tokens[0, 3], found.tokens[1, L - 1]])
  np.testing.assert_allclose(found.pooled, at @ map_, rtol=1e-5, atol=1e-5)
  assert text.ends(ids, END).tolist() == [3, 5]


def test_the_layer_before_the_last_is_an_encoder_with_a_block_less():
  less = jax.tree.map(lambda x: x, params())
  less["blocks"] = jax.tree.map(lambda x: x[:-1], params()["blocks"])
  size = sizes.Size(**{**vars(SIZE), "depth": 2})
  short = text.TextEncoder(size=size, vocabulary=11, length=L, projection=5)
  wanted = short.apply({"params": less}, IDS, end=END)
  found = run(layer=2)
  np.testing.assert_allclose(found.tokens, wanted.tokens, atol=1e-6)
  # What is pooled is of the last layer still.
  np.testing.assert_allclose(found.pooled, run().pooled, atol=1e-6)
  apart = run(layer=2, pooled=False)
  np.testing.assert_allclose(apart.tokens, wanted.tokens, atol=1e-6)
  assert not apart.pooled.any() and apart.pooled.shape == (2, 5)


def test_a_shorter_text_has_the_first_places():
  found = run(IDS[:1, :4]).tokens
  np.testing.assert_allclose(found, run().tokens[:1, :4], atol=1e-6)


def test_the_activation_and_the_heads_count():
  assert np.abs(run(act="gelu").tokens - run().tokens).max() > 1e-4
  assert set(params()) == {
    "token_embed",
    "pos_embed",
    "blocks",
    "norm",
    "projection",
  }
