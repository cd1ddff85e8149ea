import jax
import jax.numpy as jnp
import numpy as np
import pytest
import toydiffusion
import walks

from jmim.diffusion import invert
from jmim.diffusion import sampler
from jmim.diffusion import schedule
from jmim.diffusion import solvers
from jmim.diffusion import targets

Z = walks.X0
OFFSET = toydiffusion.PROCESS.levels(np.array([16, 12, 8, 4]), end=0)
CLEAN = toydiffusion.PROCESS.levels(np.array([16, 12, 8, 4]))


def noise(n, seed=0):
  rng = np.random.default_rng(seed)
  return rng.normal(size=(n, *walks.SHAPE)).astype(np.float32)


def begun(levels):
  return invert.begun(levels, Z, noise(1)[0], 1.0)[1]


TABLES = {
  "ddim": lambda levels: solvers.ddim(levels, 0.1),
  "ddim of variance 1": lambda levels: solvers.ddim(levels, 1.0),
  "ddpm": lambda levels: solvers.ddpm(levels, "small"),
}


@pytest.mark.parametrize("name", TABLES)
def test_what_is_encoded_comes_back(name):
  """Exactly, where the last step adds noise too."""
  table = TABLES[name](OFFSET)
  x = begun(OFFSET)
  found = invert.encode(table, walks.network, Z, x=x, noise=noise(3, 1))
  assert found.shape == (4, *walks.SHAPE)
  back = invert.decode(table, walks.network, x, found)
  np.testing.assert_allclose(back, Z, atol=1e-4)


def test_a_last_step_without_noise_leaves_the_models_error():
  table, x = solvers.ddim(CLEAN, 0.1), begun(CLEAN)
  found = invert.encode(table, walks.network, Z, x=x, noise=noise(3, 1))
  np.testing.assert_array_equal(found[-1], 0.0)
  back = invert.decode(table, walks.network, x, found)
  path = invert.posterior(table, Z, x, noise(3, 1))
  a, s = CLEAN.signal[-2], CLEAN.noise[-2]
  out = walks.network(path[-2], row(table, -1))
  np.testing.assert_allclose(back - Z, out.x0 - Z, atol=1e-4)
  true = (path[-2] - a * Z) / s
  np.testing.assert_allclose(out.x0 - Z, s / a * (true - out.eps), atol=1e-4)


def row(table, i):
  return jax.tree.map(lambda x: jnp.float32(x[i]), table.level)


def test_another_variance_of_ddpm():
  """States of the posterior, noises of the sampler that is used."""
  small, large = solvers.ddpm(OFFSET, "small"), solvers.ddpm(OFFSET, "large")
  x, z = begun(OFFSET), noise(3, 1)
  found = invert.encode(large, walks.network, Z, x=x, noise=z, drawn_by=small)
  back = invert.decode(large, walks.network, x, found)
  np.testing.assert_allclose(back, Z, atol=1e-4)
  same = invert.encode(small, walks.network, Z, x=x, noise=z)
  ratio = small.std[0] / large.std[0]
  np.testing.assert_allclose(found[0], ratio * same[0], atol=1e-4)


def test_ddpm_is_ddim_of_variance_one():
  x, z = begun(CLEAN), noise(3, 1)
  a, b = (
    invert.encode(t, walks.network, Z, x=x, noise=z)
    for t in (solvers.ddim(CLEAN, 1.0), solvers.ddpm(CLEAN, "small"))
  )
  np.testing.assert_allclose(a, b, atol=2e-3)


def test_noises_of_the_true_model_are_normal():
  """Of Gaussian data and its exact posterior mean, in every slot.

  With a variance that the small one of DDPM lacks in steps of finite length:
    1 + (weight of x0)^2 Var(x0 | x_t) / std^2
  """
  rng = np.random.default_rng(0)
  n, mean, deviation = 20_000, walks.MEAN, walks.DEVIATION
  z = (mean + deviation * rng.normal(size=n)).astype("f4")
  levels = walks.LINEAR.levels(np.arange(999, -1, -10))
  eps = rng.normal(size=(len(levels), n)).astype("f4")
  _, x = invert.begun(levels, z, eps[0], 1.0)
  table = solvers.ddpm(levels)
  found = invert.encode(table, walks.gaussian, z, x=x, noise=eps[1:])
  slots = np.asarray(found[:-1])
  ratio = levels.signal[:-1] / levels.noise[:-1]
  left = 1 / (1 / deviation**2 + ratio**2)
  extra = (table.out[:, solvers.X0] ** 2 * left)[:-1] / table.std[:-1] ** 2
  assert extra[0] < 0.01 < extra[-1]
  # Six deviations of a mean and of a variance of so many numbers.
  assert np.abs(slots.mean(1) / (1 + extra) ** 0.5).max() < 6 / n**0.5
  share = slots.var(1) / (1 + extra)
  assert np.abs(share - 1).max() < 6 * (2 / n) ** 0.5


def test_the_start_is_data_at_a_level():
  levels = walks.PATH
  eps = noise(1)[0]
  rest, x = invert.begun(levels, Z, eps, 0.5)
  assert len(rest) == 6
  a, s = float(levels.signal[6]), float(levels.noise[6])
  np.testing.assert_allclose(x, a * Z + s * eps, atol=1e-6)
  none, same = invert.begun(levels, Z, eps, 0.0)
  assert none is None and same is Z
  assert len(invert.begun(levels, Z, eps, 1e-9)[0]) == 1


@pytest.mark.parametrize("told", ["from", "to"])
def test_ddim_comes_back_and_better_in_more_steps(told):
  def error(n):
    times = np.linspace(0, 999, n).round().astype(int)[::-1]
    levels = walks.LINEAR.levels(times, end=0).part(0, n - 1)
    end, seen = invert.ddim(walks.gaussian, levels, Z, told)
    assert len(seen) == n - 1
    back, _ = sampler.sample(solvers.ddim(levels), walks.gaussian, end)
    return float(np.abs(back - Z).max())

  found = [error(n) for n in (11, 41, 161)]
  assert found[0] > 2 * found[1] > 4 * found[2]


def test_which_time_the_network_is_told():
  levels = schedule.Levels(
    np.array([8.0, 4.0, 0.0]), np.array([0.1, 0.5, 1.0]), np.array([1, 0.7, 0])
  )
  np.testing.assert_array_equal(invert.inverse(levels).time, [0, 4, 8])
  np.testing.assert_array_equal(invert.inverse(levels, "to").time, [4, 8, 8])
  with pytest.raises(ValueError, match="'there'"):
    invert.inverse(levels, "there")


def test_a_denoiser_that_knows_the_data():
  a, s = 0.8, 0.6
  x = targets.noised(Z, noise(1)[0], a, s)
  out = invert.knowing(Z)(
    x, row(solvers.ddim(walks.PATH), 0)._replace(signal=a, noise=s)
  )
  np.testing.assert_allclose(out.eps, noise(1)[0], atol=1e-5)
  with pytest.raises(ValueError, match="2 steps for 3"):
    invert.posterior(solvers.ddpm(CLEAN), Z, Z, noise(2))


def test_steps_come_first():
  x = np.arange(24).reshape(2, 3, 4)
  np.testing.assert_array_equal(invert.steps_first(x)[1, 0], x[0, 1])
