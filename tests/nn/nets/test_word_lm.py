import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import runtime
from jmim.nn import causal
from jmim.nn import sizes
from jmim.nn.nets import word_lm

SIZE = sizes.Size(width=16, depth=1, heads=4, mlp_ratio=2.0)
IDS = np.random.default_rng(0).integers(0, 9, (2, 5))


@pytest.mark.parametrize("tied", [True, False])
def test_words_are_scored_by_embeddings_or_by_a_head(fill, tied):
  net = word_lm.WordLM(size=SIZE, words=9, kv_heads=2, tied=tied)
  variables = fill(net, IDS)
  p = variables["params"]
  x = net.apply(variables, IDS, method="read")
  np.testing.assert_array_equal(x, p["embed"]["embedding"][IDS])
  got = net.apply(variables, x, method="scores")
  table = p["embed"]["embedding"].T if tied else p["head"]["kernel"]
  np.testing.assert_allclose(got, x @ table, atol=1e-5)
  assert got.dtype == jnp.float32 and ("head" in p) == (not tied)


def test_words_see_earlier_ones_and_vectors_may_stand_for_words(fill):
  net = word_lm.WordLM(size=SIZE, words=9, kv_heads=2)
  variables = fill(net, IDS)
  other = IDS.copy()
  other[:, 3] = (IDS[:, 3] + 1) % 9
  a, b = (net.apply(variables, ids) for ids in (IDS, other))
  np.testing.assert_allclose(a[:, :3], b[:, :3], atol=1e-5)
  assert np.abs(a[:, 3:] - b[:, 3:]).max(-1).min() > 1e-3
  x = net.apply(variables, IDS, method="read")
  rows = dict(bias=causal.causal(5, 5), positions=jnp.arange(5)[None])
  out = net.apply(variables, x, method="run", **rows)
  again = net.apply(variables, out["latent"], method="scores")
  np.testing.assert_allclose(a, again, atol=1e-5)


def test_positions_decide(fill):
  net = word_lm.WordLM(size=SIZE, words=9, theta=50.0)
  variables = fill(net, IDS)
  x = net.apply(variables, IDS, method="read")
  run = jax.jit(
    lambda x, p: net.apply(
      variables, x, method="run", bias=jnp.zeros((1, 1, 5, 5)), positions=p
    )["latent"]
  )
  at = lambda *p: run(x, jnp.array([p]))
  np.testing.assert_allclose(at(0, 1, 2, 3, 4), at(3, 4, 5, 6, 7), atol=1e-5)
  assert np.abs(at(0, 1, 2, 3, 4) - at(0, 1, 3, 2, 4)).max() > 1e-3


@pytest.mark.parametrize("tied", [True, False])
def test_logits_of_bf16_are_no_bf16(fill, tied):
  rt = runtime.Runtime(dtype=jnp.bfloat16)
  net = word_lm.WordLM(size=SIZE, words=9, tied=tied, rt=rt)
  variables = fill(net, IDS)
  x = net.apply(variables, IDS, method="read")
  logits = np.asarray(net.apply(variables, x, method="scores"))
  assert x.dtype == jnp.bfloat16 and logits.dtype == np.float32
  rounded = logits.astype(jnp.bfloat16).astype(np.float32)
  assert (rounded != logits).mean() > 0.5
