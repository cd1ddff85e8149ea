import jax
import numpy as np
import pytest

from jmim.diffusion import schedule
from jmim.diffusion import targets
from jmim.diffusion import variance
from jmim.diffusion import weights

RNG = np.random.default_rng(0)
X0, EPS = RNG.normal(size=(2, 4, 3, 3, 2)).astype(np.float32)
SIGNAL = np.array([0.99, 0.7, 0.3, 0.05], np.float32).reshape(4, 1, 1, 1)
LEVELS = {
  "preserving": (SIGNAL, np.sqrt(1 - SIGNAL**2)),
  "exploding": (np.ones_like(SIGNAL), 3 * SIGNAL),
  "straight": (SIGNAL, 1 - SIGNAL),
}


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("kind", targets.KINDS)
def test_a_perfect_prediction_gives_data_and_noise_back(kind, level):
  a, s = LEVELS[level]
  x = targets.noised(X0, EPS, a, s)
  pred = targets.target(kind, X0, eps=EPS, a=a, s=s)
  out = targets.output(kind, pred, x=x, a=a, s=s)
  np.testing.assert_allclose(out.x0, X0, atol=1e-3)
  np.testing.assert_allclose(out.eps, EPS, atol=1e-3)


@pytest.mark.parametrize("kind", targets.KINDS)
def test_any_prediction_gives_a_consistent_pair(kind):
  a, s = LEVELS["preserving"]
  x, pred = RNG.normal(size=(2, *X0.shape)).astype(np.float32)
  out = targets.output(kind, pred, x=x, a=a, s=s)
  np.testing.assert_allclose(a * out.x0 + s * out.eps, x, atol=1e-5)
  np.testing.assert_allclose(
    targets.target(kind, out.x0, eps=out.eps, a=a, s=s), pred, atol=1e-3
  )


def test_clipping_and_reprojection():
  a, s = LEVELS["preserving"]
  x = 5 * RNG.normal(size=X0.shape).astype(np.float32)
  plain = targets.output("eps", EPS, x=x, a=a, s=s)
  both = targets.output("eps", EPS, x=x, a=a, s=s, clip=1.0)
  kept = targets.output("eps", EPS, x=x, a=a, s=s, clip=1.0, reproject=False)
  np.testing.assert_array_equal(both.x0, np.clip(plain.x0, -1, 1))
  np.testing.assert_allclose(a * both.x0 + s * both.eps, x, atol=1e-4)
  np.testing.assert_array_equal(kept.eps, EPS)
  np.testing.assert_array_equal(kept.x0, both.x0)


def test_an_unknown_kind_is_named():
  with pytest.raises(ValueError, match="epsilon"):
    targets.target("epsilon", X0, eps=EPS, a=1.0, s=1.0)


def test_edm_preconditioning_keeps_unit_variance():
  sigma = np.array([0.01, 0.5, 10.0])
  c = targets.edm(sigma, data=0.5)
  np.testing.assert_allclose(c.inside**2 * (0.25 + sigma**2), 1.0, rtol=1e-5)
  # Variance of (x0 - skip x) / out, the network's target, is 1.
  var = 0.25 * (1 - c.skip) ** 2 + (c.skip * sigma) ** 2
  np.testing.assert_allclose(var / c.out**2, 1.0, rtol=1e-5)
  # The weight makes the target's error count the same at all levels.
  np.testing.assert_allclose(weights.edm(sigma, 0.5) * c.out**2, 1.0, rtol=1e-5)


def test_min_snr_is_the_same_weight_in_every_kind():
  a, s = (np.broadcast_to(x, X0.shape) for x in LEVELS["preserving"])
  x = targets.noised(X0, EPS, a, s)
  guess = X0 + 0.1
  wanted = weights.make("min_snr", "x0", a, s) * (guess - X0) ** 2
  np.testing.assert_allclose(
    weights.make("min_snr", "x0", a, s), np.minimum((a / s) ** 2, 5)
  )
  guessed = targets.to_eps("x0", guess, x=x, a=a, s=s)
  for kind in ("eps", "v"):
    pred = targets.target(kind, guess, eps=guessed, a=a, s=s)
    error = (pred - targets.target(kind, X0, eps=EPS, a=a, s=s)) ** 2
    found = weights.make("min_snr", kind, a, s) * error
    np.testing.assert_allclose(found, wanted, rtol=2e-2, atol=1e-5)


def test_random_times():
  n = RNG.normal(size=20000)
  sigma = np.log(weights.lognormal(n, -1.2, 1.2))
  np.testing.assert_allclose(
    [sigma.mean(), sigma.std()], [-1.2, 1.2], atol=0.03
  )
  u = np.asarray(weights.logit_normal(n))
  assert 0 < u.min() and u.max() < 1
  np.testing.assert_allclose(np.median(u), 0.5, atol=0.02)


def test_kl_and_likelihood():
  mean, log_var = RNG.normal(size=(2, 50))
  np.testing.assert_allclose(
    variance.gaussian_kl(mean, log_var, mean, log_var), 0.0, atol=1e-6
  )
  found = variance.gaussian_kl(1.0, 0.0, 0.0, np.log(4.0))
  np.testing.assert_allclose(found, np.log(2) + 2 / 8 - 0.5, rtol=1e-5)
  # The bins of all 256 grey levels make up everything.
  grey = np.linspace(-1, 1, 256)
  for centre, scale in ((0.1, 0.3), (-0.9, 0.02)):
    log_p = variance.discretised_log_likelihood(grey, centre, np.log(scale))
    np.testing.assert_allclose(np.exp(log_p).sum(), 1.0, atol=1e-4)


def test_learned_range_reaches_both_ends():
  ends = variance.learned(np.array([-1.0, 0.0, 1.0]), -4.0, -2.0)
  np.testing.assert_allclose(ends, [-4.0, -3.0, -2.0])


def test_the_bound_teaches_the_variance_only_where_the_mean_is_detached():
  process = schedule.make("linear", 10, 1e-3, 0.2)
  bound, t = variance.Bound(process), np.array([0, 1, 5, 9])
  a, s = (x.reshape(4, 1, 1, 1) for x in process.at(t))
  x = targets.noised(X0, EPS, a, s)

  def bits(v):
    return bound.bits(X0, x, t, x0_hat=X0, log_var=bound.log_var(v, t)).sum()

  # With the true mean the KL is least, 0, at the posterior's own variance.
  small = -np.ones_like(X0)
  terms = bound.bits(X0, x, t, x0_hat=X0, log_var=bound.log_var(small, t))
  np.testing.assert_allclose(terms[1:], 0.0, atol=1e-5)
  assert np.abs(jax.grad(bits)(np.zeros_like(X0))).min() > 0
