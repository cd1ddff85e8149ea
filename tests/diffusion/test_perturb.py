import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import toydiffusion

from jmim.diffusion import perturb

TOY = toydiffusion.make()
CLASS = jnp.array([0, 2, 1])
TIMES = jnp.array([3, 11, 19])


def normal(*shape, seed=0):
  return jax.random.normal(jax.random.key(seed), shape)


def at(noise):
  return {"t": TIMES, "noise": noise, "told": CLASS}


def test_a_box_is_around_images_and_inside_their_range():
  clean = jnp.array([-0.95, 0.0, 0.9])
  np.testing.assert_allclose(
    perturb.boxed(jnp.array([-3.0, 0.05, 3.0]), clean, 0.2), [-1, 0.05, 1]
  )
  far = perturb.near(jnp.array([-3.0, 0.05, 3.0]), clean, 0.2)
  np.testing.assert_allclose(far, [-1.15, 0.05, 1.1])


def test_a_residual_is_the_prediction_less_the_noise():
  z, noise = normal(2, 3, 4, 4, 3)
  found = perturb.residual(TOY, z, **at(noise))
  a = TOY.schedule.signal[TIMES].reshape(-1, 1, 1, 1)
  s = TOY.schedule.noise[TIMES].reshape(-1, 1, 1, 1)
  wanted = TOY.network(a * z + s * noise, TIMES, CLASS) - noise
  np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_a_slope_is_that_of_each_image_alone():
  z, noise = normal(2, 3, 4, 4, 3)
  found = perturb.slope(TOY, z, **at(noise))
  step = normal(3, 4, 4, 3, seed=1)
  loss = lambda z: (perturb.residual(TOY, z, **at(noise)) ** 2).mean((1, 2, 3))
  h = 1e-2
  change = (loss(z + h * step) - loss(z - h * step)) / (2 * h)
  np.testing.assert_allclose((found * step).sum((1, 2, 3)), change, rtol=2e-2)


def test_a_direction_is_pulled_back_through_the_encoder_alone():
  images, u = normal(2, 8, 8, 3), normal(2, 4, 4, 3, seed=1)
  seen = []

  def push(z):
    seen.append(z)
    return u

  noise = normal(2, 4, 4, 3, seed=2)
  found = perturb.pulled(TOY, images, push, noise)
  np.testing.assert_allclose(seen[0], TOY.encode(images, noise), atol=1e-6)
  step = normal(2, 8, 8, 3, seed=3)
  # The toy's encoder is linear.
  wanted = (TOY.encode(step) * u).sum((1, 2, 3))
  np.testing.assert_allclose((found * step).sum((1, 2, 3)), wanted, rtol=1e-4)


@pytest.mark.parametrize("side, fields", [(8, 8), (9, 4), (6, 2)])
def test_checks_are_black_and_white(side, fields):
  board = perturb.checks((side, side, 3), fields)
  assert board.shape == (side, side, 3)
  assert set(np.unique(board)) == {-1.0, 1.0}
  assert board[0, 0, 0] == -1 and board[0, -(-side // fields), 0] == 1
  changes = (np.diff(board[0, :, 0]) != 0).sum()
  assert changes == fields - 1
  np.testing.assert_array_equal(board, board.swapaxes(0, 1))


def test_a_relative_change_is_of_lengths():
  plain = jnp.ones((2, 2, 2, 1)).at[1].set(0.0)
  changed = plain + 0.1
  np.testing.assert_allclose(
    perturb.relative(changed, plain), [0.1, 0.0], atol=1e-6
  )


def test_gains_of_linear_networks_are_known():
  """Of an encoder that doubles and adds, of a prediction c x."""
  c, shift = 3.0, 0.5
  source = dataclasses.replace(
    toydiffusion.pixels(),
    encode=lambda x, noise=None: 2 * x + shift,
    network=lambda x, t, told: c * x,
  )
  plain, noise = normal(2, 3, 4, 4, 2)
  changed = plain + 0.01 * jnp.sign(noise)
  t = jnp.array([0, 9, 19])
  found = perturb.gains(source, changed, plain, t=t, noise=noise)
  norm = lambda x: np.sqrt((np.asarray(x) ** 2).sum((1, 2, 3)))
  z = 2 * plain + shift
  encoder = 2 * norm(plain) / norm(z)
  np.testing.assert_allclose(found["encoder_gain"], encoder, rtol=1e-3)
  # e = c (a z + s n): a change of z by a share of its length.
  a = source.schedule.signal[t].reshape(-1, 1, 1, 1)
  s = source.schedule.noise[t].reshape(-1, 1, 1, 1)
  denoiser = norm(a * z) / norm(a * z + s * noise)
  np.testing.assert_allclose(found["denoiser_gain"], denoiser, rtol=1e-3)
  same = perturb.gains(source, plain, plain, t=t, noise=noise)
  assert all((x == 0).all() for x in same.values())
