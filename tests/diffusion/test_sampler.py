import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.diffusion import guidance
from jmim.diffusion import multistep
from jmim.diffusion import respace
from jmim.diffusion import sampler
from jmim.diffusion import schedule
from jmim.diffusion import solvers
from jmim.diffusion import targets

RNG = np.random.default_rng(0)
SHAPE = (3, 4, 4, 2)
X0, START = RNG.normal(size=(2, *SHAPE)).astype(np.float32)
LINEAR = schedule.make("linear")
PATH = LINEAR.levels(respace.visited("even", 1000, 12))


def oracle(x, level):
  """Knows the data."""
  return targets.output("x0", X0, x=x, a=level.signal, s=level.noise)


def network(x, level):
  """Any smooth function that depends on everything."""
  eps = jnp.tanh(x + 0.3 * jnp.roll(x, 1, 1)) * level.noise + 1e-4 * level.time
  return targets.output("eps", eps, x=x, a=level.signal, s=level.noise)


def noise_of(table, seed=0):
  rng = np.random.default_rng(seed)
  return rng.normal(size=(len(table), *SHAPE)).astype(np.float32)


def run(table, denoise=network, **kwargs):
  return sampler.sample(table, denoise, START, noise_of(table), **kwargs)[0]


@pytest.mark.parametrize("path", ["preserving", "edm", "straight"])
@pytest.mark.parametrize("name", solvers.NAMES)
def test_with_perfect_predictions_every_sampler_returns_the_data(name, path):
  levels = {
    "preserving": PATH,
    "edm": schedule.karras(9),
    "straight": schedule.straight(np.linspace(0.01, 1, 9)),
  }[path]
  table = solvers.make(name, levels, eta=0.7)
  np.testing.assert_allclose(run(table, oracle), X0, atol=1e-4)


@pytest.mark.parametrize("steps", [1000, 20])
def test_ddpm_is_ddim_with_eta_1(steps):
  path = LINEAR.levels(respace.visited("even", 1000, steps))
  one, other = solvers.ddpm(path), solvers.ddim(path, eta=1.0)
  np.testing.assert_allclose(one.std, other.std, rtol=1e-7)
  # In float64: over 1000 steps rounding grows to 1e-3 in float32.
  with jax.enable_x64(True):
    z, x = np.float64(noise_of(one)), np.float64(START)
    found, wanted = (sampler.sample(t, network, x, z)[0] for t in (one, other))
  np.testing.assert_allclose(found, wanted, atol=1e-9)


def test_ddpm_variances():
  beta = LINEAR.beta[::-1]
  large = solvers.ddpm(LINEAR.levels(), "large")
  np.testing.assert_allclose(large.std[:-1] ** 2, beta[:-1], rtol=1e-9)
  power = LINEAR.power[::-1]
  small = beta[:-1] * (1 - power[1:]) / (1 - power[:-1])
  np.testing.assert_allclose(
    solvers.ddpm(LINEAR.levels()).std[:-1] ** 2, small, rtol=1e-9
  )
  # The last step adds none; its clipped logarithm is that of the step before.
  assert large.std[-1] == 0
  level = large.level
  np.testing.assert_allclose(level.log_small[-1], np.log(small[-1]))
  np.testing.assert_allclose(level.log_large, np.log(beta))


def test_a_learned_variance_scales_the_noise():
  def denoise(x, level):
    return network(x, level)._replace(log_var=jnp.full_like(x, level.log_small))

  learned = run(solvers.ddpm(PATH, "learned"), denoise)
  np.testing.assert_allclose(learned, run(solvers.ddpm(PATH)), atol=1e-5)


def test_euler_in_scaled_space_is_ddim():
  x = START / PATH.signal[0]
  sigma = (PATH.noise / PATH.signal).astype(np.float32)
  table = solvers.euler(PATH)
  rows = jax.tree.map(lambda a: np.asarray(a, np.float32), table.level)
  for i in range(len(PATH)):
    level = jax.tree.map(lambda a: a[i], rows)  # noqa: B023
    out = network(x * level.signal, level)
    x = x + (sigma[i + 1] - sigma[i]) * out.eps
  np.testing.assert_allclose(run(table), x, atol=1e-4)


def test_heun_is_the_algorithm_of_the_paper():
  path = schedule.karras(6, 0.1, 5.0)
  churn, low, high, inflate = 3.0, 0.2, 4.0, 1.01
  table = solvers.heun(path, churn, low=low, high=high, inflate=inflate)
  z = noise_of(table)

  def denoise(x, level):
    x0 = x * 0.5 / (1 + level.noise) + 0.1 * jnp.sin(x) + 0.01 * level.time
    return targets.output("x0", x0, x=x, a=level.signal, s=level.noise)

  unused = dict.fromkeys(("to_signal", "to_noise", "log_small", "log_large"))

  def d(x, s):
    level = sampler.Level(
      0, np.log(s) / 4, signal=1.0, noise=s, **unused, scales=(None, None)
    )
    return denoise(x, level).eps

  x, call = START * 5.0, 0
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
  found, _ = sampler.sample(table, denoise, START * 5.0, z)
  # Time between levels is interpolated in lambda, exactly log(s) / 4 here.
  np.testing.assert_allclose(found, x, atol=2e-4)


MEAN, DEVIATION = 0.4, 0.6


def gaussian(x, level):
  """The exact posterior mean of N(MEAN, DEVIATION^2)."""
  a, s = level.signal, level.noise
  gain = a * DEVIATION**2 / (a**2 * DEVIATION**2 + s**2)
  x0 = MEAN + gain * (x - a * MEAN)
  return targets.output("x0", x0, x=x, a=a, s=s)


def error(name, n):
  """Distance from the exact solution of the ODE, which is a line."""
  lam = np.linspace(-2.0, 2.0, n + 1)
  power = 1 / (1 + np.exp(-2 * lam))
  path = schedule.Levels(-lam, np.sqrt(power), np.sqrt(1 - power))
  deviation = np.sqrt(power * DEVIATION**2 + 1 - power)
  with jax.enable_x64(True):
    z = np.linspace(-2, 2, 9)
    x = path.signal[0] * MEAN + deviation[0] * z
    table = name(path) if callable(name) else solvers.make(name, path)
    found, _ = sampler.sample(table, gaussian, x)
  wanted = path.signal[-1] * MEAN + deviation[-1] * z
  return np.abs(np.asarray(found) - wanted).max()


@pytest.mark.parametrize(
  "name, order",
  [
    ("ddim", 1),
    ("euler", 1),
    ("heun", 2),
    ("dpmpp_2m", 2),
    ("dpmpp_2s", 2),
    ("unipc", 2),
    (lambda p: multistep.unipc(p, 3), 3),
  ],
  ids=["ddim", "euler", "heun", "dpmpp_2m", "dpmpp_2s", "unipc2", "unipc3"],
)
def test_error_falls_with_the_stated_power(name, order):
  coarse, fine = error(name, 40), error(name, 80)
  measured = np.log2(coarse / fine)
  assert measured > order - 0.25, measured
  if order == 1:
    assert measured < 1.25, measured
  else:
    assert fine < 0.1 * error("ddim", 80)


@pytest.mark.parametrize("name", ["ddpm", "ddim", "dpmpp_2m"])
def test_a_path_can_be_walked_in_parts(name):
  make = lambda p: solvers.make(name, p, eta=0.5)
  whole = make(PATH)
  z = noise_of(whole)
  wanted, record = sampler.sample(
    whole, network, x=START, noise=z, callback=sampler.trajectory
  )
  half, _ = sampler.sample(make(PATH.part(0, 5)), network, START, z[:5])
  np.testing.assert_allclose(half, record["x"][4], atol=1e-5)
  if whole.memory == 1:  # a multi-step sampler starts over where it was cut
    rest, _ = sampler.sample(make(PATH.part(5)), network, half, z[5:])
    # Two programs, whose roundings differ; the values go beyond 100.
    np.testing.assert_allclose(rest, wanted, rtol=2e-6, atol=1e-5)


def test_noise_may_be_a_function_of_the_call():
  table = solvers.ddpm(PATH)
  z = jnp.asarray(noise_of(table))
  found, _ = sampler.sample(table, network, START, lambda i: z[i])
  np.testing.assert_allclose(found, run(table), atol=1e-6)


def test_missing_or_wrong_noise_is_refused():
  table = solvers.ddpm(PATH)
  with pytest.raises(ValueError, match="needs noise"):
    sampler.sample(table, network, START)
  with pytest.raises(ValueError, match="noise of 3 calls for 12"):
    sampler.sample(table, network, START, noise_of(table)[:3])


def test_noise_is_recovered_from_a_path():
  table = solvers.ddim(PATH, eta=1.0)
  path = RNG.normal(size=(13, *SHAPE)).astype(np.float32)
  z = sampler.noises(table, network, path)
  found, record = sampler.sample(
    table, network, x=path[0], noise=z, callback=sampler.trajectory
  )
  np.testing.assert_allclose(record["x"][:-1], path[1:-1], atol=2e-3)
  with pytest.raises(ValueError, match="one call"):
    sampler.noises(multistep.dpmpp_2m(PATH), network, path)


def test_ddim_is_inverted_by_walking_back():
  path = LINEAR.levels(np.arange(0, 1000, 2)[::-1])
  # Without the clean level, where the noise of an image cannot be asked for.
  path = path.part(0, len(path) - 1)
  data, _ = sampler.sample(solvers.ddim(path), gaussian, START)
  back, _ = sampler.sample(solvers.ddim(path.reverse()), gaussian, data)
  np.testing.assert_allclose(back, START, atol=0.05)


def test_a_residual_shift_is_a_path_of_the_residual():
  """ResShift: x_t = x0 + e (y - x0) + k sqrt(e) eps, on u = x - y."""
  eta, kappa = np.array([0.99, 0.6, 0.3, 0.1, 0.001]), 2.0
  path = schedule.Levels(np.arange(5.0)[::-1], 1 - eta, kappa * np.sqrt(eta))
  step = eta[:-1] - eta[1:]
  std = kappa * np.sqrt(eta[1:] * step / eta[:-1])
  table, y = solvers.ddim(path, std=std), 0.3
  z = noise_of(table)

  def denoise(u, level):
    x0 = jnp.tanh(u + y)  # the network sees x, not the residual
    return targets.output("x0", x0 - y, x=u, a=level.signal, s=level.noise)

  found, _ = sampler.sample(table, denoise, START, z)
  x = START + y
  for i in range(4):  # the posterior of the paper
    x0 = jnp.tanh(x)
    x = eta[i + 1] / eta[i] * x + step[i] / eta[i] * x0 + std[i] * z[i]
  np.testing.assert_allclose(found + y, x, atol=1e-4)


def test_callbacks_see_levels_and_may_change_the_state():
  def callback(level, x, out):
    return x * 0.5, (level.time, level.to_noise, out.x0.mean())

  table = solvers.ddim(PATH)
  x, (times, to_noise, means) = sampler.sample(
    table, oracle, START, callback=callback
  )
  np.testing.assert_allclose(times, PATH.time[:-1])
  np.testing.assert_allclose(to_noise, PATH.noise[1:], rtol=1e-6)
  np.testing.assert_allclose(means, [X0.mean()] * 12, rtol=1e-4)
  np.testing.assert_allclose(x, X0 / 2, atol=1e-5)


@pytest.mark.parametrize("eps", [0.0, 1.0])
def test_inpainting_keeps_what_is_known(eps):
  mask = np.zeros((1, 4, 4, 1), np.float32)
  mask[:, :2] = 1
  noise = eps * RNG.normal(size=SHAPE).astype(np.float32)
  table = solvers.ddim(PATH, eta=1.0)

  def callback(level, x, out):
    x, _ = guidance.inpaint(X0, mask, noise)(level, x, out)
    return x, (x, level.to_signal, level.to_noise)

  found, (seen, a, s) = sampler.sample(
    table, network, x=START, noise=noise_of(table), callback=callback
  )
  np.testing.assert_allclose(found[:, :2], X0[:, :2], atol=1e-6)
  known = a.reshape(-1, 1, 1, 1, 1) * X0 + s.reshape(-1, 1, 1, 1, 1) * noise
  np.testing.assert_allclose(seen[:, :, :2], known[:, :, :2], atol=1e-6)
  free = run(table)
  assert np.abs(found[:, 2:] - free[:, 2:]).max() > 1e-3


def test_sampling_is_differentiable():
  def last(scale):
    denoise = lambda x, level: targets.output(
      "x0", scale * X0, x=x, a=level.signal, s=level.noise
    )
    return sampler.sample(multistep.dpmpp_2m(PATH), denoise, START)[0].sum()

  np.testing.assert_allclose(jax.grad(last)(1.0), X0.sum(), rtol=1e-4)


# Guidance.

COND, NULL = RNG.normal(size=(2, 3, 4, 4, 5)).astype(np.float32)


def test_guidance_1_is_conditional_and_0_is_null():
  np.testing.assert_allclose(guidance.combine(COND, NULL, 1.0), COND, atol=1e-6)
  np.testing.assert_array_equal(guidance.combine(COND, NULL, 0.0), NULL)
  np.testing.assert_allclose(
    guidance.combine(COND, NULL, 3.0), 3 * COND - 2 * NULL, atol=1e-5
  )


def test_guidance_of_the_first_channels_leaves_the_others():
  found = guidance.combine(COND, NULL, 3.0, channels=3)
  np.testing.assert_allclose(found[..., 3:], COND[..., 3:])
  whole = guidance.combine(COND, NULL, 3.0)
  np.testing.assert_allclose(found[..., :3], whole[..., :3])
  null_half = guidance.combine(COND, NULL, 3.0, channels=3, rest=NULL)
  np.testing.assert_allclose(null_half[..., 3:], NULL[..., 3:])


def test_guidance_interval_and_rescale():
  times = np.array([0.0, 100.0, 500.0, 600.0])
  np.testing.assert_array_equal(
    guidance.interval(3.0, times, 100, 500), [1, 3, 3, 1]
  )
  guided = guidance.combine(COND, NULL, 7.0)
  np.testing.assert_array_equal(guidance.rescale(guided, COND, 0.0), guided)
  full = guidance.rescale(guided, COND, 1.0)
  np.testing.assert_allclose(
    full.std((1, 2, 3)), COND.std((1, 2, 3)), rtol=1e-5
  )
