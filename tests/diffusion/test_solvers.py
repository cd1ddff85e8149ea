import jax
import jax.numpy as jnp
import numpy as np
import pytest
import walks

from jmim.diffusion import multistep
from jmim.diffusion import respace
from jmim.diffusion import sampler
from jmim.diffusion import schedule
from jmim.diffusion import solvers
from jmim.diffusion import targets


@pytest.mark.parametrize("path", ["preserving", "edm", "straight"])
@pytest.mark.parametrize("name", solvers.NAMES)
def test_with_perfect_predictions_every_sampler_returns_the_data(name, path):
  levels = {
    "preserving": walks.PATH,
    "edm": schedule.karras(9),
    "straight": schedule.straight(np.linspace(0.01, 1, 9)),
  }[path]
  table = solvers.make(name, levels, eta=0.7)
  np.testing.assert_allclose(
    walks.run(table, walks.oracle), walks.X0, atol=1e-4
  )


@pytest.mark.parametrize("steps", [1000, 20])
def test_ddpm_is_ddim_with_eta_1(steps):
  path = walks.LINEAR.levels(respace.visited("even", 1000, steps))
  one, other = solvers.ddpm(path), solvers.ddim(path, eta=1.0)
  np.testing.assert_allclose(one.std, other.std, rtol=1e-7)
  # In float64: over 1000 steps rounding grows to 1e-3 in float32.
  with jax.enable_x64(True):
    z, x = np.float64(walks.noise_of(one)), np.float64(walks.START)
    found, wanted = (
      sampler.sample(t, walks.network, x, z)[0] for t in (one, other)
    )
  np.testing.assert_allclose(found, wanted, atol=1e-9)


def test_more_noise_than_there_is_is_refused():
  """sqrt(s^2 - std^2) eps is nothing real then."""
  path = walks.LINEAR.levels(respace.visited("even", 1000, 20))
  for eta in (1.5, np.linspace(0, 2, 20)):
    with pytest.raises(ValueError, match="adds more noise than a level has"):
      solvers.ddim(path, eta)
  start = schedule.make("linear", 20, zero_snr=True).levels()
  whole = solvers.ddim(start, 1.0)  # of pure noise all is drawn anew
  np.testing.assert_allclose(whole.std[0], start.noise[1])


def test_ddpm_variances():
  beta = walks.LINEAR.beta[::-1]
  large = solvers.ddpm(walks.LINEAR.levels(), "large")
  np.testing.assert_allclose(large.std[:-1] ** 2, beta[:-1], rtol=1e-9)
  power = walks.LINEAR.power[::-1]
  small = beta[:-1] * (1 - power[1:]) / (1 - power[:-1])
  np.testing.assert_allclose(
    solvers.ddpm(walks.LINEAR.levels()).std[:-1] ** 2, small, rtol=1e-9
  )
  # The last step adds none; its clipped logarithm is that of the step before.
  assert large.std[-1] == 0
  level = large.level
  np.testing.assert_allclose(level.log_small[-1], np.log(small[-1]))
  np.testing.assert_allclose(level.log_large, np.log(beta))


def test_a_learned_variance_scales_the_noise():
  def denoise(x, level):
    return walks.network(x, level)._replace(
      log_var=jnp.full_like(x, level.log_small)
    )

  learned = walks.run(solvers.ddpm(walks.PATH, "learned"), denoise)
  np.testing.assert_allclose(
    learned, walks.run(solvers.ddpm(walks.PATH)), atol=1e-5
  )


def test_euler_in_scaled_space_is_ddim():
  x = walks.START / walks.PATH.signal[0]
  sigma = (walks.PATH.noise / walks.PATH.signal).astype(np.float32)
  table = solvers.euler(walks.PATH)
  rows = jax.tree.map(lambda a: np.asarray(a, np.float32), table.level)
  for i in range(len(walks.PATH)):
    level = jax.tree.map(lambda a: a[i], rows)  # noqa: B023
    out = walks.network(x * level.signal, level)
    x = x + (sigma[i + 1] - sigma[i]) * out.eps
  np.testing.assert_allclose(walks.run(table), x, atol=1e-4)


def test_heun_is_the_algorithm_of_the_paper():
  path = schedule.karras(6, 0.1, 5.0)
  churn, low, high, inflate = 3.0, 0.2, 4.0, 1.01
  table = solvers.heun(path, churn, low=low, high=high, inflate=inflate)
  z = walks.noise_of(table)

  def denoise(x, level):
    x0 = x * 0.5 / (1 + level.noise) + 0.1 * jnp.sin(x) + 0.01 * level.time
    return targets.output("x0", x0, x=x, a=level.signal, s=level.noise)

  unused = dict.fromkeys(("to_signal", "to_noise", "log_small", "log_large"))

  def d(x, s):
    level = sampler.Level(
      0, np.log(s) / 4, signal=1.0, noise=s, **unused, scales=(None, None)
    )
    return denoise(x, level).eps

  x, call = walks.START * 5.0, 0
  for s, s_next in zip(path.noise[:-1], path.noise[1:], strict=True):
    gain = min(churn / 6, 2**0.5 - 1) if low <= s <= high else 0.0
    hat = s * (1 + gain)
    x = x + inflate * np.sqrt(hat**2 - s**2) * z[call]
    first = d(x, hat)
    euler = x + (s_next - hat) * first
    call += 1
    if s_next:
      euler = x + (s_next - hat) * (first + d(euler, s_next)) / 2
      call += 1
    x = euler
  assert call == len(table) == 11
  found, _ = sampler.sample(table, denoise, walks.START * 5.0, z)
  # Time between levels is interpolated in lambda, exactly log(s) / 4 here.
  np.testing.assert_allclose(found, x, atol=2e-4)


@pytest.mark.parametrize(
  "name, order",
  [
    ("ddim", 1),
    ("euler", 1),
    ("heun", 2),
    ("dpmpp_2m", 2),
    ("dpmpp_2s", 2),
    ("dpmpp_3s", 2),  # of its last steps
    ("unipc", 2),
    (lambda p: multistep.unipc(p, 3), 3),
  ],
  ids=[
    "ddim",
    "euler",
    "heun",
    "dpmpp_2m",
    "dpmpp_2s",
    "dpmpp_3s",
    "unipc2",
    "unipc3",
  ],
)
def test_error_falls_with_the_stated_power(name, order):
  coarse, fine = walks.error(name, 40), walks.error(name, 80)
  measured = np.log2(coarse / fine)
  assert measured > order - 0.25, measured
  if order == 1:
    assert measured < 1.25, measured
  else:
    assert fine < 0.1 * walks.error("ddim", 80)


def test_ddim_is_inverted_by_walking_back():
  path = walks.LINEAR.levels(np.arange(0, 1000, 2)[::-1])
  # Without the clean level, where the noise of an image cannot be asked for.
  path = path.part(0, len(path) - 1)
  data, _ = sampler.sample(solvers.ddim(path), walks.gaussian, walks.START)
  back, _ = sampler.sample(solvers.ddim(path.reverse()), walks.gaussian, data)
  np.testing.assert_allclose(back, walks.START, atol=0.05)


def test_a_residual_shift_is_a_path_of_the_residual():
  """ResShift: x_t = x0 + e (y - x0) + k sqrt(e) eps, on u = x - y."""
  eta, kappa = np.array([0.99, 0.6, 0.3, 0.1, 0.001]), 2.0
  path = schedule.Levels(np.arange(5.0)[::-1], 1 - eta, kappa * np.sqrt(eta))
  step = eta[:-1] - eta[1:]
  std = kappa * np.sqrt(eta[1:] * step / eta[:-1])
  table, y = solvers.ddim(path, std=std), 0.3
  z = walks.noise_of(table)

  def denoise(u, level):
    x0 = jnp.tanh(u + y)  # the walks.network sees x, not the residual
    return targets.output("x0", x0 - y, x=u, a=level.signal, s=level.noise)

  found, _ = sampler.sample(table, denoise, walks.START, z)
  x = walks.START + y
  for i in range(4):  # the posterior of the paper
    x0 = jnp.tanh(x)
    x = eta[i + 1] / eta[i] * x + step[i] / eta[i] * x0 + std[i] * z[i]
  np.testing.assert_allclose(found + y, x, atol=1e-4)
