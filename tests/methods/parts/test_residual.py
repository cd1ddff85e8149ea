import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import randomness
from jmim.diffusion import sampler
from jmim.methods.parts import residual

PROCESS = residual.Residual(times=6, kappa=1.5)


@pytest.fixture(scope="module")
def pair(normal):
  """(data, degraded data)."""
  return jnp.asarray(normal(2, 3, 3, 1)), jnp.asarray(
    normal(2, 3, 3, 1, seed=1)
  )


def test_a_state_lies_between_data_and_degraded_data(pair, normal):
  (x, y), eps = pair, normal(2, 3, 3, 1, seed=2)
  t = np.array([1, 4])
  eta = PROCESS.process.eta[t][:, None, None, None]
  x_t = PROCESS.add(x, y, t, eps)
  expected = x + eta * (y - x) + 1.5 * np.sqrt(eta) * eps
  np.testing.assert_allclose(x_t, expected, atol=1e-5)
  np.testing.assert_allclose(PROCESS.eps(x_t, x, y, t), eps, atol=1e-4)
  np.testing.assert_allclose(
    PROCESS.start(y, eps), y + 1.5 * 0.99 * eps, atol=1e-5
  )
  np.testing.assert_allclose(
    PROCESS.inside(x_t, t), x_t / np.sqrt(eta * 1.5**2 + 1), atol=1e-5
  )


def test_an_oracle_walks_the_forward_process_to_the_data(pair, normal):
  (x, y), eps = pair, normal(2, 3, 3, 1, seed=2)
  walk = residual.Walk(how="deterministic")
  made, records = walk.walk(
    PROCESS,
    lambda state, t: x,
    y=y,
    normal=lambda _: eps,
    callback=sampler.trajectory,
  )
  np.testing.assert_allclose(made, x, atol=1e-6)
  seen = PROCESS.eps(PROCESS.start(y, eps), x, y, jnp.array([5, 5]))
  for i, t in enumerate(range(4, -1, -1)):
    expected = PROCESS.add(x, y, jnp.array([t, t]), seen)
    np.testing.assert_allclose(records["x"][i] + y, expected, atol=1e-5)


@pytest.mark.parametrize("steps", [0, 4])
def test_the_walk_draws_from_the_posterior(steps, pair, normal):
  """By q's own factors, of a network that is no oracle."""
  (x, y), noise = pair, normal(7, 2, 3, 3, 1, seed=2)
  seen = []

  def network(state, t):
    jax.debug.callback(lambda t: seen.append(float(t[0])), t, ordered=True)
    return jnp.tanh(state) + 0.1 * x

  walk = residual.Walk(steps=steps, clip=0.8)
  normals = jnp.asarray(noise)
  made, _ = walk.walk(PROCESS, network, y=y, normal=lambda call: normals[call])
  jax.effects_barrier()
  process = PROCESS.process.respaced(steps or 6)
  calls, q = len(process), process.posterior()
  assert seen == list(process.inputs[::-1])
  state = y + process.noise[-1] * noise[calls]
  for call, t in enumerate(range(calls - 1, -1, -1)):
    x0 = np.clip(np.tanh(state) + 0.1 * x, -0.8, 0.8)
    mean = q.of_x[t] * state + q.of_x0[t] * x0
    state = mean + np.sqrt(q.var[t]) * noise[call]
  np.testing.assert_allclose(made, state, atol=1e-5)


def test_what_is_drawn_is_below_its_bounds():
  keys = randomness.Keys(jax.random.key(0))
  found = residual.drawn(keys, (64, 2), "a", times=3, noise="uniform")
  assert set(np.unique(found["a_t"])) == {0, 1, 2}
  assert 0 <= found["a_noise"].min() and found["a_noise"].max() < 1
  drawn = PROCESS.draw(randomness.Keys(jax.random.key(0)), (64, 2))
  assert set(np.unique(drawn["t"])) == set(range(6))
  assert drawn["noise"].min() < 0


def test_what_does_not_fit_is_named():
  with pytest.raises(ValueError, match="sampling.steps=7"):
    residual.Walk(steps=7).check(6)
  with pytest.raises(ValueError, match="noise.least"):
    residual.Residual(least=0.9, end=0.01, kappa=0.1).check()
  agreed = PROCESS.agrees()
  assert agreed["noise.kappa"] == ("method.noise.kappa", 1.5)
