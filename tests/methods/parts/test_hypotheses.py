import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.methods.parts import gaussian
from jmim.methods.parts import hypotheses

NOISE = gaussian.Gaussian(schedule="cosine", times=6)
B, N, D, SCALE = 2, 3, 4, 10.0


def truth(x, t):
  """Says the noise as if all data were 20 in every number."""
  a, s = NOISE.process.at(t.astype(jnp.int32))
  return (x - a[..., None] * 20.0) / s[..., None]


def start():
  return jax.random.normal(jax.random.key(0), (B, N, D))


@pytest.mark.parametrize("sampler", ["ddpm", "ddim"])
def test_a_perfect_network_leads_to_the_data(sampler):
  part = hypotheses.Hypotheses(steps=6, sampler=sampler)
  noise = jax.random.normal(jax.random.key(1), (6, B, N, D))
  made = part.walk(NOISE, truth, start=start(), normal=noise, scale=SCALE)
  np.testing.assert_allclose(made, 2.0, atol=1e-3)


def test_data_are_clipped_before_the_scale():
  part = hypotheses.Hypotheses(steps=6, clip=1.5)
  made = part.walk(NOISE, truth, start=start(), normal=None, scale=SCALE)
  np.testing.assert_allclose(made, 1.5, atol=1e-5)


def test_it_is_ddpm_step_by_step():
  """x0 clipped, the posterior's mean, and its deviation; none at time 0."""
  part = hypotheses.Hypotheses(steps=6, clip=0.1)
  network = lambda x, t: 0.3 * x - 0.1 * t[..., None]
  noise = np.random.default_rng(1).normal(size=(6, B, N, D))
  x, process = np.float64(start()), NOISE.process
  for i, t in enumerate(range(5, -1, -1)):
    a2 = process.power[t]
    before = process.power[t - 1] if t else 1.0
    x0 = (x - np.sqrt(1 - a2) * (0.3 * x - 0.1 * t)) / np.sqrt(a2)
    x0 = np.clip(x0, -0.1 * SCALE, 0.1 * SCALE)
    beta = process.beta[t]
    mean = np.sqrt(before) * beta / (1 - a2) * x0
    mean += np.sqrt(1 - beta) * (1 - before) / (1 - a2) * x
    x = mean + np.sqrt(beta * (1 - before) / (1 - a2)) * noise[i]
  normal = jnp.asarray(noise, jnp.float32)
  made = part.walk(NOISE, network, start=start(), normal=normal, scale=SCALE)
  np.testing.assert_allclose(made, x / SCALE, atol=1e-4)


def test_without_noise_it_is_one_estimate():
  part = hypotheses.Hypotheses(steps=6)
  network = lambda x, t: 0.3 * x
  walk = lambda noise: part.walk(
    NOISE, network, start=start(), normal=noise, scale=SCALE
  )
  zero = walk(jnp.zeros((6, B, N, D)))
  np.testing.assert_allclose(walk(None), zero, atol=1e-6)
  assert np.abs(np.asarray(walk(jnp.ones((6, B, N, D))) - zero)).max() > 1e-3
