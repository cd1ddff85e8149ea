import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.diffusion import discrete

L, V = 6, 3
RNG = np.random.default_rng(0)
TABLE = RNG.normal(size=(2**L, L, V + 1))  # a network: logits of every mask
X = np.array([0, 2, 1, 1, 0, 2])


@pytest.mark.parametrize("name", discrete.SCHEDULES)
def test_a_schedule_falls_is_inverted_and_weighs_its_slope(name):
  s = discrete.Absorbing(name)
  t = np.linspace(1e-3, 1.0, 50)
  m = s.masked(t)
  assert (np.diff(m) > 0).all() and m[-1] == pytest.approx(
    1 - s.eps if name == "loglinear" else 1
  )
  np.testing.assert_allclose(s.time(m), t, atol=1e-12)
  slope = (s.masked(t + 1e-6) - s.masked(t - 1e-6)) / 2e-6
  np.testing.assert_allclose(s.weight(t), slope / m, rtol=1e-4)
  np.testing.assert_allclose(s.masked(jnp.asarray(t)), m, rtol=1e-5)
  np.testing.assert_allclose(s.time(jnp.asarray(m)), t, rtol=1e-4)


def test_mdlm_weight_is_that_of_its_noise():
  s, t = discrete.Absorbing("loglinear"), np.linspace(0.01, 1, 20)
  noise = -np.log1p(-(1 - s.eps) * t)
  rate = (1 - s.eps) / (1 - (1 - s.eps) * t)
  np.testing.assert_allclose(s.weight(t), rate / np.expm1(noise))


def test_an_unknown_schedule_is_named():
  with pytest.raises(ValueError, match="sigmoid"):
    discrete.Absorbing("sigmoid")


def test_subs_knows_what_is_seen_and_never_answers_mask():
  logits = jnp.asarray(RNG.normal(size=(2, L, V + 1)))
  x = jnp.asarray([[0, V, 1, V, V, 2], [V] * L])
  p = np.exp(discrete.subs(logits, x, V))
  np.testing.assert_allclose(p.sum(-1), 1, atol=1e-6)
  assert (p[..., V] == 0).all()
  seen = np.asarray(x) != V
  np.testing.assert_array_equal(p[seen], np.eye(V + 1)[np.asarray(x)[seen]])
  free = np.exp(logits[..., :V])
  free = free / free.sum(-1, keepdims=True)
  np.testing.assert_allclose(p[~seen][:, :V], free[~seen], rtol=1e-5)


def all_losses():
  """(masked [2^L, L], sum over masked of -log p [2^L]) of the table."""
  masks = np.array(list(itertools.product([False, True], repeat=L)))
  x = jnp.where(masks, V, X)
  logp = discrete.subs(jnp.asarray(TABLE), x, V)
  tokens = jnp.broadcast_to(X, masks.shape)
  ce = discrete.cross_entropy(logp, tokens, jnp.asarray(masks))
  assert not np.asarray(ce)[~masks].any()
  return masks, np.asarray(ce, np.float64).sum(1)


@pytest.mark.parametrize("name", discrete.SCHEDULES)
def test_both_losses_are_the_same_number(name):
  """All masks are enumerated; time is integrated by Gauss and Legendre."""
  masks, sums = all_losses()
  n = masks.sum(1)
  agnostic = sum(L / k * sums[n == k].mean() for k in range(1, L + 1)) / L
  s = discrete.Absorbing(name, eps=1e-9)
  t, w = np.polynomial.legendre.leggauss(40)
  t, w = (t + 1) / 2, w / 2
  m = s.masked(t)[:, None]
  chance = m**n * (1 - m) ** (L - n)
  continuous = (w * s.weight(t) * (chance @ sums)).sum()
  assert continuous == pytest.approx(agnostic, abs=1e-6)
  # And per size of the mask the weight is 1/n.
  per_n = (w[:, None] * s.weight(t)[:, None] * chance).sum(0)
  for k in range(1, L + 1):
    total = per_n[n == k].sum()
    assert total == pytest.approx(1 / k, abs=1e-6), k
  assert math.comb(L, 2) == (n == 2).sum()


def test_subsets_have_their_size_and_every_position_its_turn():
  scores = jax.random.uniform(jax.random.key(0), (4000, L))
  n = jnp.arange(4000) % L + 1
  masked = np.asarray(discrete.subset(scores, n))
  np.testing.assert_array_equal(masked.sum(1), n)
  np.testing.assert_allclose(masked.mean(0), (L + 1) / 2 / L, atol=0.03)


def test_counts_and_strata_are_uniform():
  u = jax.random.uniform(jax.random.key(1), (6000,))
  n = np.asarray(discrete.count(discrete.strata(u), L))
  np.testing.assert_array_equal(np.bincount(n), [0] + [1000] * L)
  assert discrete.count(jnp.float32(1 - 2**-24), 10**6) == 10**6
