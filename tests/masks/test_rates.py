import jax
import jax.numpy as jnp
import numpy as np
import scipy.stats

from jmim.masks import rates


def test_rates_have_the_law_of_the_paper():
  u = (np.arange(2000) + 0.5) / 2000
  found = rates.truncated_normal(jnp.asarray(u, jnp.float32), 0.7)
  law = scipy.stats.truncnorm((0.7 - 1) / 0.25, 0, loc=1.0, scale=0.25)
  np.testing.assert_allclose(found, law.ppf(u), atol=2e-5)


def test_counts_are_between_those_of_the_least_rate_and_all():
  u = jax.random.uniform(jax.random.key(0), (5000,))
  for n in (16, 100, 256):
    count = rates.count(rates.truncated_normal(u, 0.7), n, 0.7)
    assert count.min() >= np.ceil(0.7 * n) and count.max() == n
  edges = rates.count(jnp.array([0.0, 0.75, 1.0, 2.0]), 10, 0.7)
  assert edges.tolist() == [7, 8, 10, 10]
  assert rates.least_count(10, 0.7) == 7 and rates.least_count(256, 0.7) == 180


def test_uniform_rates_fill_their_range():
  u = np.linspace(0, 1, 11)
  np.testing.assert_allclose(rates.uniform(u, 0.7), 0.7 + 0.3 * u)
  np.testing.assert_allclose(rates.uniform(u, 0.1, 0.1), 0.1)
  found = rates.truncated_normal(jnp.float32(u), 0.2, 0.2)
  np.testing.assert_allclose(found, 0.2, atol=1e-6)
