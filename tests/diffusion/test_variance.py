import jax
import numpy as np

from jmim.diffusion import schedule
from jmim.diffusion import targets
from jmim.diffusion import variance

RNG = np.random.default_rng(0)
X0, EPS = RNG.normal(size=(2, 4, 3, 3, 2)).astype(np.float32)


def test_the_posterior_of_a_step_is_that_of_ddpm():
  process = schedule.make("linear", 20, 1e-3, 0.2)
  found = variance.posterior(process.levels())
  beta, power = process.beta[1:], process.power
  var = beta * (1 - power[:-1]) / (1 - power[1:])
  np.testing.assert_allclose(found.var[-2::-1], var)
  of_x0 = np.sqrt(power[:-1]) * beta / (1 - power[1:])
  np.testing.assert_allclose(found.of_x0[-2::-1], of_x0)
  of_x = np.sqrt(1 - beta) * (1 - power[:-1]) / (1 - power[1:])
  np.testing.assert_allclose(found.of_x[-2::-1], of_x)
  # The last step ends clean: no variance, all of it x0.
  assert found.var[-1] == 0 and found.of_x[-1] == 0
  np.testing.assert_allclose(found.of_x0[-1], 1.0)


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


def test_the_bound_is_0_at_the_posterior_and_moves_every_variance():
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
