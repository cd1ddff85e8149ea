"""Bases trained by retraction."""

import jax
import jax.numpy as jnp
import numpy as np

from jmim.data.procedural import molrg
from jmim.methods.parts import subspaces
from jmim.metrics import subspaces as measures

KEY = jax.random.key(0)


def test_errors_without_noise_are_those_of_the_shrunk_projection():
  bases = subspaces.random(KEY, 6, (2,))
  x = jax.random.normal(KEY, (4, 6))
  found = subspaces.errors(
    bases, (1.0,), x, noise=jnp.zeros_like(x), s=0.8, g=0.6
  )
  kept = 0.64 * x @ bases[0] @ bases[0].T  # s^2 / (s^2 + g^2)
  np.testing.assert_allclose(found, ((kept - x) ** 2).sum(1), rtol=1e-5)


def test_retraction_recovers_the_subspaces_of_enough_points():
  truth = molrg.bases(16, (2, 2))
  rng = np.random.default_rng(0)
  points, _ = molrg.draw(rng, truth, (10, 10))
  how = subspaces.Descent(steps=300, starts=4)
  bases, losses = subspaces.descend(KEY, jnp.asarray(points), (2, 2), how)
  bases = [np.asarray(u) for u in bases]
  for u in bases:
    np.testing.assert_allclose(u.T @ u, np.eye(2), atol=1e-5)
  assert losses.shape == (4,)
  assert measures.recovery(bases, truth).max() < 0.3
