"""A path, networks and noise with which samplers are tested."""

import jax
import jax.numpy as jnp
import numpy as np

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
MEAN, DEVIATION = 0.4, 0.6


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
