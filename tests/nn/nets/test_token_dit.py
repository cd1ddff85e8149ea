import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.nn import sizes
from jmim.nn.nets import token_dit

B, L, V, W = 2, 5, 7, 8
SIZE = sizes.Size(width=W, depth=2, heads=2)


@pytest.fixture(scope="module", params=[False, True], ids=["plain", "timed"])
def case(request, fill):
  """Network, variables, tokens and times; no bias, scale or gate is trivial."""
  net = token_dit.TokenDiT(
    size=SIZE, vocabulary=V, length=L, timed=request.param
  )
  tokens = jnp.asarray(np.random.default_rng(0).integers(0, V, (B, L)))
  times = jnp.array([0.1, 0.9])
  return net, fill(net, tokens, times, scale=0.3), tokens, times


def test_logits_start_at_zero_whatever_the_tokens(case):
  net, _, tokens, times = case
  out, _ = jax.jit(net.init_with_output)(jax.random.key(0), tokens, times)
  np.testing.assert_array_equal(out["logits"], np.zeros((B, L, V)))
  assert np.abs(out["latent"]).max() > 0


def test_every_position_sees_every_other(case):
  net, variables, tokens, times = case
  apply = jax.jit(lambda x: net.apply(variables, x, times)["logits"])
  for place in (0, L - 1):
    changed = tokens.at[:, place].set((tokens[:, place] + 1) % V)
    moved = np.abs(apply(changed) - apply(tokens)).max((0, 2))
    assert moved.min() > 1e-4


def test_without_positions_tokens_are_interchangeable(case):
  net, variables, tokens, times = case
  params = dict(variables["params"])
  order = np.array([3, 1, 4, 0, 2])
  apply = lambda p, x: net.apply({"params": p}, x, times)["logits"]
  moved = apply(params, tokens[:, order]) - apply(params, tokens)[:, order]
  assert np.abs(moved).max() > 1e-3
  params["pos_embed"] = np.zeros_like(params["pos_embed"])
  np.testing.assert_allclose(
    apply(params, tokens[:, order]),
    apply(params, tokens)[:, order],
    rtol=1e-4,
    atol=1e-4,
  )


def test_the_time_conditions_a_timed_network_only(case):
  net, variables, tokens, times = case
  same = jnp.broadcast_to(tokens[:1], tokens.shape)
  logits = net.apply(variables, same, times)["logits"]
  assert bool(jnp.allclose(logits[0], logits[1])) != net.timed
  if not net.timed:
    again = net.apply(variables, same)["logits"]
    np.testing.assert_array_equal(again, logits)
