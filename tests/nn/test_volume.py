import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.nn import volume

S = 12


@pytest.fixture(name="bounds")
def _bounds():
  jitter = jnp.asarray(np.random.default_rng(3).random(S + 1, np.float32))
  return volume.boundaries(0.2, 1.7, S, jitter)


@pytest.fixture(name="density")
def _density():
  return np.random.default_rng(4).gamma(0.5, 8.0, (5, S)).astype(np.float32)


def test_boundaries_are_even_and_jitter_moves_all_but_the_last():
  even = np.asarray(volume.boundaries(0.5, 2.0, 3))
  np.testing.assert_allclose(even, [0.5, 1.0, 1.5, 2.0], rtol=1e-6)
  moved = volume.boundaries(0.5, 2.0, 3, jnp.array([0.0, 0.5, 0.2, 0.9]))
  np.testing.assert_allclose(moved, [0.5, 1.25, 1.6, 2.0], rtol=1e-6)
  np.testing.assert_allclose(
    volume.middles(moved), [0.875, 1.425, 1.8], rtol=1e-6
  )


def test_weights_sum_to_what_is_not_let_through(density, bounds):
  w, left = (np.asarray(x) for x in volume.weights(density, bounds))
  np.testing.assert_allclose(w.sum(-1), 1 - left.prod(-1), atol=1e-5)
  assert (w >= 0).all() and (w.sum(-1) <= 1 + 1e-5).all()
  # The definition, interval by interval.
  for ray, found in zip(density, w, strict=True):
    through = 1.0
    for i, s in enumerate(ray):
      alpha = 1 - np.exp(-s * float(bounds[i + 1] - bounds[i]))
      np.testing.assert_allclose(found[i], through * alpha, atol=1e-6)
      through *= 1 - alpha


def test_nothing_weighs_nothing_and_a_wall_hides_what_is_behind(bounds):
  empty, _ = volume.weights(jnp.zeros((1, S)), bounds)
  assert not np.asarray(empty).any()
  wall = jnp.ones((1, S)).at[0, 4].set(1e4)
  w, _ = volume.weights(wall, bounds)
  np.testing.assert_allclose(w[0, :5].sum(), 1, atol=1e-5)
  assert np.asarray(w[0, 5:]).max() < 1e-8


def test_gradients_are_finite_behind_a_wall(bounds):
  total = lambda d: volume.weights(d, bounds)[0][..., -1].sum()
  found = jax.grad(total)(jnp.full((2, S), 1e4))
  assert np.isfinite(found).all()


def test_distortion_is_the_double_sum(density, bounds):
  w, _ = volume.weights(density, bounds)
  m = volume.middles(bounds)
  apart = jnp.abs(m[:, None] - m)
  double = jnp.einsum("ri,rj,ij->r", w, w, apart)
  want = double + (w**2 * jnp.diff(bounds)).sum(-1) / 3
  np.testing.assert_allclose(
    volume.distortion(w, bounds), want, rtol=1e-5, atol=1e-6
  )
  slow = lambda w: (
    jnp.einsum("ri,rj,ij->", w, w, apart) + (w**2 * jnp.diff(bounds)).sum() / 3
  )
  fast = lambda w: volume.distortion(w, bounds).sum()
  np.testing.assert_allclose(
    jax.grad(fast)(w), jax.grad(slow)(w), rtol=1e-4, atol=1e-5
  )
