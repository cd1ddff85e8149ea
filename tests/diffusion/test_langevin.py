import jax
import jax.numpy as jnp
import numpy as np

from jmim.diffusion import langevin

RATE, WEIGHT, STEPS = 0.3, 0.7, 5


def noise(*shape, seed=0):
  return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def test_a_step_is_its_formula():
  """Of two arrays and an energy that joins them."""
  z = (noise(3, 2), noise(4, 3, 2, seed=1))
  w = (noise(STEPS, 3, 2, seed=2), noise(STEPS, 4, 3, 2, seed=3))
  energy = lambda z: (z[0] * z[1].sum(0)).sum(-1)
  found, energies = langevin.walk(energy, z, w, rate=RATE, weight=WEIGHT)
  x, eps = z
  for i in range(STEPS):
    np.testing.assert_allclose(energies[i], energy((x, eps)), rtol=1e-4)
    gx = x + WEIGHT * eps.sum(0)
    ge = eps + WEIGHT * x[None]
    x = x - RATE / 2 * gx + RATE**0.5 * w[0][i]
    eps = eps - RATE / 2 * ge + RATE**0.5 * w[1][i]
  np.testing.assert_allclose(found[0], x, atol=1e-4)
  np.testing.assert_allclose(found[1], eps, atol=1e-4)


def test_it_leads_to_the_law_of_a_quadratic_energy():
  """E = (z - m)^2 / 2: mean l m / (1 + l), variance 1 / (1 + l) / (1 - s/4 ..).

  The chain is z' = (1 - s/2 (1 + l)) z + s/2 l m + sqrt(s) w.
  """
  n, m, steps = 20_000, 2.0, 60
  energy = lambda z: 0.5 * (z - m) ** 2
  w = jax.random.normal(jax.random.key(0), (steps, n))
  z, energies = langevin.walk(energy, jnp.zeros(n), w, rate=RATE, weight=WEIGHT)
  keeps = 1 - RATE / 2 * (1 + WEIGHT)
  variance = RATE / (1 - keeps**2)
  np.testing.assert_allclose(z.mean(), WEIGHT * m / (1 + WEIGHT), atol=0.03)
  np.testing.assert_allclose(z.var(), variance, rtol=0.05)
  assert energies.shape == (steps, n)
  assert float(energies[-1].mean()) < float(energies[0].mean())


def test_without_an_energy_the_variance_is_known():
  w = jax.random.normal(jax.random.key(1), (80, 20_000))
  z, _ = langevin.walk(
    lambda z: 0 * z, jnp.zeros(20_000), w, rate=RATE, weight=1.0
  )
  np.testing.assert_allclose(z.var(), 1 / (1 - RATE / 4), rtol=0.05)
