import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import field
from jmim.core import randomness
from jmim.diffusion import sampler
from jmim.methods.parts import edm
from jmim.methods.parts import guided

NOISE = edm.EDM(mean=-0.6, std=1.2, data_std=0.9)
HEUN = guided.Guided(sampler="heun", steps=6, clip=0.0)


def test_scales_are_those_of_the_paper():
  sigma = np.array([0.3, 2.0])
  t = NOISE.time(jnp.asarray(sigma))
  np.testing.assert_allclose(t, np.log(sigma) / 4, rtol=1e-6)
  p, total = NOISE.scales(t, 2), sigma**2 + 0.81
  np.testing.assert_allclose(p.skip[:, 0], 0.81 / total, rtol=1e-5)
  np.testing.assert_allclose(p.out[:, 0], sigma * 0.9 / total**0.5, rtol=1e-5)
  x = np.ones((2, 3), np.float32)
  np.testing.assert_allclose(NOISE.seen(x, t)[:, 0], 1 / total**0.5, rtol=1e-5)
  # F = 0 is the best guess of Gaussian data: skip x.
  np.testing.assert_allclose(NOISE.denoised(0 * x, x, t), p.skip * x)


def test_the_error_of_f_weighs_the_same_at_every_level(normal):
  """w out^2 = 1: what is weighted is the squared error of F."""
  x0, raw, eps = normal(4, 5), normal(4, 5, seed=1), normal(4, 5, seed=2)
  sigma = jnp.array([0.05, 0.4, 3.0, 40.0])
  t = NOISE.time(sigma)
  x, a, s = NOISE.add(x0, t, eps)
  assert a == 1.0
  np.testing.assert_allclose(s[:, 0], sigma, rtol=1e-5)
  found = NOISE.errors(NOISE.denoised(raw, x, t), x0, sigma)
  p = NOISE.scales(t, 2)
  want = (raw - (x0 - p.skip * x) / p.out) ** 2
  np.testing.assert_allclose(found, want, rtol=2e-3)


def test_levels_in_training_are_log_normal():
  draws = NOISE.draw(randomness.Keys(jax.random.key(0)), (4000, 2))
  log = np.log(NOISE.sigma(draws))
  assert abs(log.mean() + 0.6) < 0.08 and abs(log.std() - 1.2) < 0.08
  assert draws["noise"].shape == (4000, 2)


def test_sampling_ends_in_the_data_that_the_network_knows():
  """An exact denoiser of one point: every path leads there."""
  point = np.array([[0.3, -0.7]], np.float32)
  table = NOISE.table(HEUN)
  assert len(table) == 11  # two calls a step, one in the last

  def denoise(x, level):
    t = jnp.full(1, level.time)
    p = NOISE.scales(t, 2)
    raw = (point - p.skip * x) / p.out
    return NOISE.output(raw, x, level, channels=2, clip=0.0)

  start = NOISE.start(jnp.ones((1, 2)))
  assert start[0, 0] == 80
  x, _ = sampler.sample(table, denoise, start)
  np.testing.assert_allclose(x, point, atol=1e-3)


def test_times_of_the_path_are_those_of_its_levels():
  levels = NOISE.levels(5)
  np.testing.assert_allclose(levels.time[:-1], np.log(levels.noise[:-1]) / 4)
  assert math.isclose(levels.noise[0], 80) and levels.noise[-1] == 0
  assert math.isclose(NOISE.end, levels.time[0])
  assert math.isclose(NOISE.clean, levels.time[-2])


@pytest.mark.parametrize(
  "noise, sampling, words",
  [
    ({"least": 90.0}, {}, "noise.least 90"),
    ({}, {"sampler": "ddpm"}, "sampling.sampler 'ddpm'"),
    ({}, {"guidance_interval": (0.0, 0.5)}, "sampling.guidance_interval"),
    ({}, {"guidance_power": 1.0}, "sampling.guidance_power"),
  ],
)
def test_what_does_not_go_together_is_refused(noise, sampling, words):
  part = field.replace(NOISE, **noise)
  with pytest.raises(ValueError, match=words):
    part.check(field.replace(HEUN, **sampling))
