import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.nn import vq


def test_the_nearest_code_is_that_of_the_definition(normal):
  x, codes = normal(3, 4, 5), normal(7, 5, seed=1)
  distance = ((x[:, :, None] - codes) ** 2).sum(-1)
  np.testing.assert_array_equal(vq.nearest(x, codes), distance.argmin(-1))
  # A code is nearest to itself, whatever its length.
  np.testing.assert_array_equal(vq.nearest(9 * codes, 9 * codes), np.arange(7))


def test_codes_start_uniform_around_zero():
  codes = np.asarray(vq.uniform_codes(jax.random.key(0), 50, 200))
  assert np.abs(codes).max() <= 1 / 50
  assert codes.std() == pytest.approx(1 / 50 / 3**0.5, rel=0.02)


def test_values_of_the_codes_and_gradients_of_the_vectors(normal):
  z, q, g = normal(2, 3), normal(2, 3, seed=1), normal(2, 3, seed=2)
  value, back = jax.vjp(vq.straight_through, jnp.asarray(z), jnp.asarray(q))
  np.testing.assert_allclose(value, q, rtol=1e-6)
  np.testing.assert_array_equal(back(jnp.asarray(g))[0], g)
  assert not np.any(back(jnp.asarray(g))[1])


def test_each_loss_moves_one_side(normal):
  z, q = jnp.asarray(normal(2, 3)), jnp.asarray(normal(2, 3, seed=1))
  both = vq.losses(z, q)
  np.testing.assert_allclose(both, [((z - q) ** 2).mean()] * 2, rtol=1e-6)
  slope = 2 * (z - q) / z.size
  codebook, commitment = (
    jax.grad(lambda z, q, i=i: vq.losses(z, q)[i], (0, 1))(z, q) for i in (0, 1)
  )
  assert not np.any(codebook[0]) and not np.any(commitment[1])
  np.testing.assert_allclose(codebook[1], -slope, rtol=1e-5)
  np.testing.assert_allclose(commitment[0], slope, rtol=1e-5)


def test_perplexity_counts_codes_that_are_used_equally():
  even, skew = jnp.asarray([[0, 1], [2, 3]]), jnp.asarray([0, 0, 0, 1])
  assert vq.perplexity(even, 9) == pytest.approx(4)
  entropy = -(0.75 * np.log(0.75) + 0.25 * np.log(0.25))
  assert vq.perplexity(skew, 9) == pytest.approx(np.exp(entropy))


def test_statistics_count_and_add():
  z = jnp.asarray([[[1.0, 2.0], [3.0, 4.0]], [[5.0, 6.0], [7.0, 8.0]]])
  count, total = vq.statistics(z, jnp.asarray([[2, 0], [2, 2]]), 4)
  np.testing.assert_array_equal(count, [1, 0, 3, 0])
  np.testing.assert_array_equal(total, [[3, 4], [0, 0], [13, 16], [0, 0]])


def test_averaged_codes_go_to_their_vectors_and_dead_ones_start_again():
  rng = np.random.default_rng(0)
  centres = np.array([[2.0, 0.0], [-2.0, 0.0]], np.float32)
  z = jnp.asarray(np.repeat(centres, 50, 0) + 0.1 * rng.normal(size=(100, 2)))
  codes = jnp.asarray([[1.0, 0.0], [-1.0, 0.1], [0.0, 90.0]])
  state = (jnp.ones(3), codes, codes)
  for _ in range(60):
    new = vq.statistics(z, vq.nearest(z, state[2]), 3)
    state = vq.update(state[:2], new, state[2], 0.9)
  for k in (0, 1):
    mean = np.asarray(z)[50 * k : 50 * k + 50].mean(0)
    np.testing.assert_allclose(state[2][k], mean, atol=2e-2)
  np.testing.assert_allclose(state[2][2], codes[2], rtol=1e-5)
  n, total, again = vq.restart(state, z[:3], 0.1)
  np.testing.assert_array_equal(again[2], z[2])
  np.testing.assert_allclose(total[2] / n[2], z[2], rtol=1e-6)
  np.testing.assert_array_equal(again[:2], state[2][:2])


def test_baselines_need_no_image():
  target = jnp.asarray([[0, 0, 1], [1, 1, 2]])
  visible = jnp.asarray([[0, 2, -1, 0], [-1, -1, 2, -1]])
  accuracy = vq.baselines(target, visible, 3)
  assert accuracy["commonest_token"] == 0.5
  assert accuracy["visible_token"] == 0.5  # 0 twice, then 2 once
