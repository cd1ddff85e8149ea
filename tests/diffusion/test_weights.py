import numpy as np
import pytest

from jmim.diffusion import schedule
from jmim.diffusion import targets
from jmim.diffusion import variance
from jmim.diffusion import weights

RNG = np.random.default_rng(0)
X0, EPS = RNG.normal(size=(2, 4, 3, 3, 2)).astype(np.float32)
SIGNAL = np.array([0.99, 0.7, 0.3, 0.05], np.float32).reshape(4, 1, 1, 1)
LEVELS = {"preserving": (SIGNAL, np.sqrt(1 - SIGNAL**2))}


def test_the_weight_of_the_bound_makes_the_noise_error_its_kl():
  process = schedule.make("linear", 20, 1e-3, 0.2)
  t = np.arange(1, 20)
  found = np.asarray(weights.bound(process, t))
  q = variance.posterior(process.levels())
  # KL of two Gaussians of the posterior's variance whose noise differs by 1:
  # the mean moves by of_x0 s / a.
  shift = q.of_x0[-2::-1] * process.noise[1:] / process.signal[1:]
  np.testing.assert_allclose(found, shift**2 / (2 * q.var[-2::-1]), rtol=1e-5)
  assert weights.bound(process, np.array([0])) == found[0]


@pytest.mark.parametrize(
  "name, kind", [("min_snr", "velocity"), ("edm", "eps"), ("snr", "eps")]
)
def test_a_weight_that_is_not_there_is_refused(name, kind):
  with pytest.raises(ValueError, match=kind if name != "snr" else name):
    weights.make(name, kind, SIGNAL, 1 - SIGNAL)


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


@pytest.mark.parametrize("a", [0.5, 5.0])
def test_times_that_are_dense_at_both_ends(a):
  """Their distribution is the integral of e^(a u) + e^(-a u), by sums."""
  t = np.linspace(0, 1, 20001)
  density = np.exp(a * (t - 0.5)) + np.exp(-a * (t - 0.5))
  below = np.concatenate([[0], np.cumsum(density[1:] + density[:-1])])
  found = weights.dense_ends(below / below[-1], a)
  np.testing.assert_allclose(found, t, atol=2e-5)
