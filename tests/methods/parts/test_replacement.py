import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.diffusion import replace
from jmim.methods.parts import replacement

K, B, L = 4, 3, 6
PART = replacement.Replacement(times=5, mask_last=0.9)
P = PART.process(K)
X0 = jax.random.randint(jax.random.key(0), (B, L), 0, K)
T = jnp.array([0, 2, 4])
X = P.noised(
  X0,
  T,
  jax.random.uniform(jax.random.key(1), (B, L)),
  jax.random.randint(jax.random.key(2), (B, L), 0, K),
)
LOGP = replace.predicted(jax.random.normal(jax.random.key(3), (B, L, K)))


def test_the_process_has_its_fields():
  assert P == replace.Replace(codes=K, times=5, mask_last=0.9)
  with pytest.raises(ValueError, match="kept and masked go from"):
    replacement.Replacement(mask_last=0.0).process(K)


def test_the_loss_by_hand():
  part = replacement.Bound(auxiliary=0.5, masked=2.0, visible=3.0)
  main, total = part.terms(P, LOGP, X0, X, T)
  term = np.asarray(P.terms(LOGP, X0, X, T))
  own = -np.asarray(replace.of(LOGP, X0))
  weight = np.where(X == K, 2.0, 3.0)
  expected = (weight * term).sum(1)
  expected[0] = term[0].sum()  # not weighted at the first time
  np.testing.assert_allclose(main, expected, rtol=1e-5)
  more = (weight * own).sum(1)
  more[0] = term[0].sum()
  scale = 0.5 * (2 - np.asarray(T) / 5)
  np.testing.assert_allclose(total, expected + scale * more, rtol=1e-5)


def test_an_auxiliary_loss_that_is_the_same_at_all_times():
  part = replacement.Bound(auxiliary=0.5, adaptive=False)
  main, total = part.terms(P, LOGP, X0, X, T)
  _, twice = replacement.Bound(auxiliary=1.0, adaptive=False).terms(
    P, LOGP, X0, X, T
  )
  np.testing.assert_allclose(twice - main, 2 * (total - main), rtol=1e-4)
  _, adaptive = replacement.Bound(auxiliary=0.5).terms(P, LOGP, X0, X, T)
  ratio = (adaptive - main) / (total - main)
  np.testing.assert_allclose(ratio, [2, 1.6, 1.2], rtol=1e-4)


def test_an_estimate_is_of_every_time():
  """With as many draws as times, and the middle of each: the whole sum."""
  part = replacement.Bound(draws=5)
  code = jnp.zeros((B, L), int)
  u = jax.random.uniform(jax.random.key(1), (B, L))
  found = part.estimate(
    P,
    X0,
    lambda x, t: LOGP,
    lambda i: {"time": jnp.full(B, 0.5), "u": u, "code": code},
  )
  total = np.asarray(P.last(X0), np.float64)
  for t in range(5):
    times = jnp.full(B, t)
    x = P.noised(X0, times, u, code)
    total += np.asarray(P.terms(LOGP, X0, x, times).sum(1))
  np.testing.assert_allclose(found, total, rtol=1e-5)


def test_the_bound_of_a_network_that_knows_what_it_sees():
  """And nothing else: log K per code, of which the last term has a part."""
  ends = dict(keep_first=0.9, mask_first=0.1, keep_last=0.2, mask_last=0.8)
  process = replacement.Replacement(times=5, **ends).process(K)
  x0 = jnp.zeros((64, 50), int)
  blind = replace.predicted(jnp.zeros((64, 50, K)))

  def predict(x, t):
    return jnp.where((x == K)[..., None], blind, process.one_hot(x))

  def drawn(i):
    u = jax.random.uniform(jax.random.fold_in(jax.random.key(0), i), x0.shape)
    return {"time": jnp.full(64, 0.5), "u": u, "code": x0}

  found = replacement.Bound(draws=5).estimate(process, x0, predict, drawn)
  np.testing.assert_allclose(found.mean() / 50, np.log(K), rtol=0.02)
  np.testing.assert_allclose(process.last(x0) / 50, 0.2 * np.log(K), rtol=1e-4)
