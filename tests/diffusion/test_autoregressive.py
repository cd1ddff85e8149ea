import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.diffusion import autoregressive


def kept(logits, **options):
  found = np.asarray(autoregressive.truncated(jnp.asarray(logits), **options))
  stays = np.isfinite(found)
  np.testing.assert_allclose(found[stays], np.asarray(logits)[stays], rtol=1e-6)
  return stays


def test_all_stays_without_limits():
  assert kept(np.zeros((2, 5))).all() and kept(np.ones((2, 5)), top_k=9).all()


def test_top_k_is_never_more_than_k(normal):
  x = normal(3, 4, 7)
  stays = kept(x, top_k=3)
  assert (stays.sum(-1) == 3).all()
  assert (np.where(stays, x, np.inf).min(-1) >= np.sort(x)[..., -3]).all()
  # Also where logits are equal, as of a network at its start.
  np.testing.assert_array_equal(
    kept(np.zeros((1, 5)), top_k=2)[0], [1, 1, 0, 0, 0]
  )


def test_the_likeliest_alone_is_the_first_of_the_largest(normal):
  x = normal(3, 4, 7)
  stays = kept(x, top_k=1, top_p=0.5)
  np.testing.assert_array_equal(stays.argmax(-1), x.argmax(-1))
  assert (stays.sum(-1) == 1).all()
  np.testing.assert_array_equal(kept(np.zeros((1, 3)), top_k=1)[0], [1, 0, 0])
  text = str(jax.make_jaxpr(lambda x: autoregressive.truncated(x, 1))(x))
  assert "sort" not in text


@pytest.mark.parametrize("p", [0.05, 0.3, 0.7, 0.95])
def test_top_p_is_the_smallest_set(normal, p):
  x = 2 * normal(20, 9)
  stays = kept(x, top_p=p)
  probs = np.exp(x) / np.exp(x).sum(-1, keepdims=True)
  for row, own in zip(probs, stays, strict=True):
    assert row[own].sum() >= p - 1e-6
    assert own.sum() == 1 or row[own].sum() - row[own].min() < p
    assert own.all() or row[own].min() >= row[~own].max()


def test_top_p_is_of_the_top_k():
  """0.4, 0.3 | 0.2, 0.1: of the first two, 4/7 are enough for p = 0.5."""
  x = np.log([[0.4, 0.3, 0.2, 0.1]])
  np.testing.assert_array_equal(kept(x, top_k=2, top_p=0.5)[0], [1, 0, 0, 0])
  np.testing.assert_array_equal(kept(x, top_p=0.5)[0], [1, 1, 0, 0])


P = np.array([[0.1, 0.6, 0.3], [0.5, 1e-30, 0.5], [0.2, 0.2, 0.6]])
TABLE = np.log(P)


def sampled(n, length=4, keys=None, **options):
  """A Markov chain; the state counts the calls."""

  def advance(state, before, i):
    return jnp.asarray(TABLE)[before], state + 1

  keys = jax.random.split(jax.random.key(0), n) if keys is None else keys
  run = functools.partial(
    autoregressive.generate, advance=advance, length=length, **options
  )
  return np.asarray(
    jax.jit(lambda k: run(k, state=0, first=jnp.zeros(n, int)))(keys)
  )


def test_draws_follow_the_chain():
  x = sampled(4000)
  counts = np.zeros((3, 3))
  np.add.at(counts, (x[:, :-1].ravel(), x[:, 1:].ravel()), 1)
  found = counts / counts.sum(1, keepdims=True)
  np.testing.assert_allclose(found, P, atol=0.03)
  np.testing.assert_allclose((x[:, 0] == 1).mean(), 0.6, atol=0.03)


def test_rows_depend_on_their_keys_alone():
  keys = jax.random.split(jax.random.key(3), 6)
  whole = sampled(6, keys=keys)
  np.testing.assert_array_equal(sampled(6, keys=keys[::-1])[::-1], whole)
  np.testing.assert_array_equal(sampled(2, keys=keys[2:4]), whole[2:4])


def test_limits_and_temperature():
  assert set(np.unique(sampled(200, top_k=1))) <= {0, 1}
  cold = sampled(300, temperature=0.05)
  assert (cold[:, 0] == 1).mean() > 0.99
  hot = sampled(3000, temperature=100.0)
  np.testing.assert_allclose((hot[:, 0] == 0).mean(), 1 / 3, atol=0.04)


def test_known_tokens_stay_and_are_seen():
  known = np.full((500, 4), -1)
  known[:, 1] = 1
  x = sampled(500, known=jnp.asarray(known))
  assert (x[:, 1] == 1).all() and not (x[:, 2] == 1).any()
