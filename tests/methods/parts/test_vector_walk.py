import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import field
from jmim.methods.parts import vector_walk

WALK = vector_walk.VectorWalk()
D = 5


@pytest.fixture(scope="module")
def params(fill, normal):
  z = normal(1, D)
  return fill(WALK.denoiser, z, 0.0, z, scale=0.6)["params"]


def test_the_published_schedule():
  """Numbers of the card, and the posterior's coefficients by its formula."""
  process, table = WALK.process, WALK.table
  power = np.cumprod(1 - process.beta)
  np.testing.assert_allclose(
    process.beta, np.linspace(0.1**0.5, 0.99**0.5, 4) ** 2, atol=1e-12
  )
  np.testing.assert_allclose(
    process.beta, [0.1, 0.2943, 0.5910, 0.99], atol=5e-5
  )
  np.testing.assert_allclose(power, [0.9, 0.6351, 0.2598, 0.0026], atol=5e-5)
  before = np.append(1.0, power[:-1])
  of_x0 = process.beta * np.sqrt(before) / (1 - power)
  of_x = (1 - before) * np.sqrt(1 - process.beta) / (1 - power)
  np.testing.assert_allclose(table.out[:, 3], of_x0[::-1], atol=1e-12)
  np.testing.assert_allclose(table.out[:, 0], of_x[::-1], atol=1e-12)
  np.testing.assert_allclose(table.out[-1, [0, 3]], [0, 1], atol=1e-12)
  assert not table.stochastic


def test_one_time_is_one_call(params, normal):
  walk = field.replace(WALK, times=1)
  z, c = normal(2, 3, D)
  (made,) = jax.jit(walk.walk)(params, z, c)
  called = walk.denoiser.apply({"params": params}, z, 0.0, c)
  np.testing.assert_allclose(made, called, rtol=1e-6)


def test_the_walk_by_hand(params, normal):
  z, c = normal(2, 3, D)
  found = jax.jit(WALK.walk)(params, z, c)
  power = np.cumprod(1 - WALK.process.beta)
  for state, t in zip(found, (3, 2, 1, 0), strict=True):
    made = WALK.denoiser.apply({"params": params}, z, t / 40, c)
    before = power[t - 1] if t else 1.0
    beta = WALK.process.beta[t]
    z = (
      beta * before**0.5 * np.asarray(made)
      + (1 - before) * (1 - beta) ** 0.5 * z
    ) / (1 - power[t])
    np.testing.assert_allclose(state, z, rtol=1e-4, atol=1e-5)


def test_the_start_is_forgotten_where_the_denoiser_does_not_read_it(
  params, normal
):
  a, b, c = normal(3, 3, D)
  kernel = np.array(params["embed"]["kernel"])
  kernel[D + 1 :] = 0
  blind = params | {"embed": params["embed"] | {"kernel": kernel}}
  walk = jax.jit(WALK.walk)
  np.testing.assert_array_equal(walk(blind, a, c)[-1], walk(blind, b, c)[-1])
  seen = walk(params, a, c)[-1] - walk(params, b, c)[-1]
  assert np.abs(seen).max() > 1e-4


def test_gradients_reach_the_condition_through_every_call(params, normal):
  """Not only through the last: that alone would be another gradient."""
  z, c = normal(2, 3, D)
  whole = jax.jit(jax.grad(lambda c: WALK.walk(params, z, c)[-1].sum()))(c)
  states = np.asarray(jax.jit(WALK.walk)(params, z, c))
  # What a walk whose states are constants would give: the last call alone.
  alone = jax.grad(
    lambda c: WALK.denoiser.apply(
      {"params": params}, jnp.asarray(states[-2]), 0.0, c
    ).sum()
  )(c)
  assert np.abs(whole - alone).max() > 1e-3 * np.abs(whole).max()
  start = jax.jit(jax.grad(lambda z: WALK.walk(params, z, c)[-1].sum()))(z)
  assert np.abs(start).max() > 0


def test_noised_vectors_are_of_the_last_time(normal):
  z, eps = normal(2, 3, D)
  power = np.prod(1 - WALK.process.beta)
  expected = power**0.5 * z + (1 - power) ** 0.5 * eps
  np.testing.assert_allclose(WALK.noised(z, eps), expected, atol=1e-6)
