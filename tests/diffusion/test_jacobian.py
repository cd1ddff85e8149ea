"""Jacobians of functions of a batch."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import toydiffusion

from jmim.diffusion import jacobian
from jmim.diffusion import solvers

B, SHAPE = 3, (2, 2, 3)
MADE = toydiffusion.pixels(size=2, channels=3)
X = np.random.default_rng(0).normal(size=(B, *SHAPE)).astype(np.float32)


def f(x):
  """Smooth, mixes all of an example; not the same for all examples."""
  flat = x.reshape(len(x), -1)
  n = flat.shape[1]
  mix = jnp.sin(jnp.arange(n * n, dtype=jnp.float32).reshape(n, n) ** 1.3)
  scale = 0.5 ** jnp.arange(n)
  y = jnp.tanh(flat @ mix / n) * scale + 0.1 * flat**2 * scale
  return (y * (1 + jnp.arange(len(x))[:, None])).reshape(x.shape)


@pytest.fixture(scope="module")
def svd():
  """(u, s, v) of each example, by jacrev of one at a time."""
  found = []
  for i in range(B):
    one = lambda y, i=i: f(jnp.asarray(X).at[i].set(y))[i].ravel()
    j = jax.jacrev(one)(jnp.asarray(X[i])).reshape(12, 12)
    found.append(np.linalg.svd(np.asarray(j, np.float64)))
  return found


@pytest.mark.parametrize("chunk", [5, 64])
def test_all_singular_values(svd, chunk):
  values = jacobian.singular_values(f, jnp.asarray(X), chunk)
  for i in range(B):
    np.testing.assert_allclose(values[i], svd[i][1], atol=1e-5)


def test_power_iteration_is_the_svd(svd):
  start = jax.random.normal(jax.random.key(0), (B, 3, *SHAPE))
  found = jax.jit(lambda x, v: jacobian.triplets(f, x, v, 60))(X, start)
  for i, (u, s, v) in enumerate(svd):
    np.testing.assert_allclose(found.values[i], s[:3], rtol=1e-4)
    for k in range(3):
      right = np.asarray(found.right[i, k]).ravel()
      left = np.asarray(found.left[i, k]).ravel()
      assert abs(right @ v[k]) == pytest.approx(1, abs=1e-3)
      # The same sign on both sides.
      assert (left @ u[:, k]) * (right @ v[k]) == pytest.approx(1, abs=1e-3)


def test_what_may_not_move_does_not():
  mask = np.zeros(SHAPE, np.float32)
  mask[0] = 1
  start = mask * jax.random.normal(jax.random.key(0), (B, 2, *SHAPE))
  found = jacobian.triplets(f, jnp.asarray(X), start, 60)
  assert not np.asarray(found.right)[:, :, 1].any()
  j = np.asarray(jacobian.whole(f, jnp.asarray(X))) * mask.ravel()
  np.testing.assert_allclose(
    found.values, np.linalg.svd(j)[1][:, :2], rtol=1e-3
  )


def test_rank_is_of_roots_of_sums_of_squares():
  # sqrt(1 - 0.9801) = 0.1411: the last value may be that share of the whole.
  assert jacobian.rank(jnp.array([1.0, 0.15, 0.0])) == 2
  assert jacobian.rank(jnp.array([1.0, 0.14, 0.0])) == 1
  assert jacobian.rank(jnp.zeros(3)) == 0
  both = jacobian.rank(jnp.array([[1.0, 1.0, 1.0], [2.0, 0.0, 0.0]]))
  assert both.tolist() == [3, 1]
  assert jacobian.rank(jnp.array([1.0, 1.0]), 0.7) == 1


def test_along_a_path_it_is_measured_at_the_states_of_the_sampler():
  table = solvers.ddim(MADE.levels(4), 0.0)
  denoise = MADE.denoise()
  states, values = jacobian.along(
    table, denoise, jnp.asarray(X), jacobian.singular_values
  )
  x = jnp.asarray(X)
  for call in range(4):
    np.testing.assert_allclose(states[call], x, atol=1e-5)
    level = jacobian.level_of(table, call)
    f = lambda z, level=level: denoise(z, level).x0
    alone = jacobian.singular_values(f, x)
    np.testing.assert_allclose(values[call], alone, rtol=1e-3, atol=1e-4)
    out = denoise(x, level)
    x = level.to_signal * out.x0 + level.to_noise * out.eps
