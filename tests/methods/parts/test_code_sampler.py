import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
import toydiffusion
import walks

from jmim.core import randomness
from jmim.diffusion import invert
from jmim.diffusion import model
from jmim.diffusion import solvers
from jmim.methods.parts import code_sampler

TOY = toydiffusion.pixels()
Z = walks.X0
MADE = code_sampler.CodeSampler(steps=5, spacing="offset", eta=0.3)


def noise(*shape, seed=0):
  return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def coded(part, owner=TOY, skip=0, seed=0):
  """(path, x, noises) of the walks' data."""
  levels = part.path(owner, skip)
  x = part.begun(levels, Z, noise(*Z.shape, seed=seed))
  steps = noise(len(levels) - 1, *Z.shape, seed=seed + 1)
  eps = part.encode(levels, owner.denoise(), Z, x=x, noise=steps)
  return levels, x, eps


@pytest.mark.parametrize(
  "fields, skip",
  [
    ({}, 0),
    ({"eta": 1.0}, 2),
    ({"sampler": "ddpm"}, 0),
    ({"sampler": "ddpm", "variance": "large"}, 1),
    ({"early_stop": 3}, 0),
    ({"clip": 0.2}, 0),
  ],
)
def test_what_is_encoded_comes_back(fields, skip):
  part = code_sampler.CodeSampler(
    **{"steps": 5, "spacing": "offset", "eta": 0.3} | fields
  )
  levels, x, eps = coded(part, skip=skip)
  assert len(eps) == len(levels) == (fields.get("early_stop") or 5 - skip)
  back = part.decode(levels, TOY.denoise(clip=part.clip), x, eps)
  if part.clip:  # it was encoded without
    assert np.abs(back - Z).max() > 1e-2
    eps = part.encode(
      levels,
      TOY.denoise(clip=part.clip),
      Z,
      x=x,
      noise=noise(len(levels) - 1, *Z.shape, seed=1),
    )
    back = part.decode(levels, TOY.denoise(clip=part.clip), x, eps)
  np.testing.assert_allclose(back, Z, atol=1e-4)


def test_ddpm_of_all_steps_is_ddim_of_eta_1():
  both = [
    coded(code_sampler.CodeSampler(steps=20, **fields))[2]
    for fields in ({"sampler": "ddpm"}, {"eta": 1.0})
  ]
  np.testing.assert_allclose(*both, atol=2e-3)


def test_where_an_early_stop_begins():
  """With the noise of the time that the network is told, here the sixth."""
  part = code_sampler.CodeSampler(steps=10, spacing="leading", early_stop=4)
  levels = part.path(TOY)
  np.testing.assert_array_equal(levels.time[:-1], [6, 4, 2, 0])
  eps = noise(*Z.shape)
  a, s = TOY.schedule.signal[6], TOY.schedule.noise[6]
  np.testing.assert_allclose(
    part.begun(levels, Z, eps), a * Z + s * eps, atol=1e-6
  )


def test_the_start_is_normal_around_the_data():
  """N(a x0, s^2), by a Kolmogorov-Smirnov test."""
  n = 4000
  z = np.full((n, 1), 0.7, np.float32)
  levels = MADE.path(TOY, skip=2)
  x = MADE.begun(levels, z, noise(n, 1))
  a, s = float(levels.signal[0]), float(levels.noise[0])
  law = scipy.stats.norm(a * 0.7, s).cdf
  assert scipy.stats.kstest(np.ravel(x), law).pvalue > 1e-3


def test_noises_of_the_true_model_are_standard_normal():
  """Every slot, and together: data and exact posterior mean of a Gaussian."""
  n = 3000
  exact = lambda x, t, told: (
    walks.gaussian(
      x, type("At", (), {"signal": SIGNAL[t], "noise": NOISE[t]})
    ).eps
  )
  SIGNAL, NOISE = (
    jnp.asarray(a, jnp.float32)[:, None]
    for a in (walks.LINEAR.signal, walks.LINEAR.noise)
  )
  owner = model.Diffuser(
    shape=(1,),
    schedule=walks.LINEAR,
    network=lambda x, t, told: exact(x, t.astype(int), told),
  )
  part = code_sampler.CodeSampler(steps=1000, eta=1.0)
  levels = part.path(owner)
  z = walks.MEAN + walks.DEVIATION * noise(n, 1)
  x = part.begun(levels, z, noise(n, 1, seed=1))
  steps = jax.random.normal(jax.random.key(0), (999, n, 1))
  eps = part.encode(levels, owner.denoise(), z, x=x, noise=steps)
  # Steps of finite length near the data are a little wider, see test_invert.
  slots = np.asarray(eps)[:900, :, 0]
  for slot in slots[::90]:
    assert scipy.stats.kstest(slot, "norm").pvalue > 1e-4
  assert abs(slots.mean()) < 6 / slots.size**0.5
  assert abs(slots.var() - 1) < 0.01
  np.testing.assert_allclose(part.rms(levels, eps).mean(), 1.0, atol=0.02)
  np.testing.assert_array_equal(eps[-1], 0.0)


def test_the_rms_is_of_the_steps_that_add_noise():
  part = code_sampler.CodeSampler(steps=4)  # ends clean
  levels, _, eps = coded(part)
  wanted = np.sqrt((np.asarray(eps[:-1]) ** 2).mean((0, 2, 3, 4)))
  np.testing.assert_allclose(part.rms(levels, eps), wanted, rtol=1e-5)


def test_last_steps_made_again():
  part = code_sampler.CodeSampler(steps=10, eta=0.1, refine=3)
  draws = part.draw_again(randomness.Keys(jax.random.key(0)), Z.shape)
  assert draws["again_noise"].shape == (3, *Z.shape)
  draws["again_noise"] = jnp.moveaxis(draws["again_noise"], 1, 0)  # per example
  found = part.refined(TOY, TOY.denoise(), Z, draws)
  levels = TOY.levels(10).part(7)
  time = int(levels.time[0])
  a, s = TOY.schedule.signal[time], TOY.schedule.noise[time]
  wanted = invert.decode(
    solvers.ddim(levels, 1.0),
    TOY.denoise(),
    a * Z + s * draws["again"],
    invert.steps_first(draws["again_noise"]),
  )
  np.testing.assert_allclose(found, wanted, atol=1e-5)
  none = code_sampler.CodeSampler(steps=20)
  assert none.draw_again(None, Z.shape) == {}
  assert none.refined(TOY, None, Z, {}) is Z


@pytest.mark.parametrize(
  "fields, skip, words",
  [
    ({"steps": 5, "early_stop": 6}, 0, "code.early_stop=6 of 5 steps"),
    ({"steps": 5, "early_stop": 3}, 1, "two ways"),
    ({"steps": 5}, 5, "search.skip=5 of 5 steps"),
    ({"steps": 5}, -1, "skip=-1 of 5 steps"),
    ({"steps": 21}, 0, "code.steps.*21 sampling steps"),
    ({"steps": 5, "refine": 6}, 0, "code.refine=6 of 5 steps"),
  ],
)
def test_steps_that_are_not_there_are_named(fields, skip, words):
  with pytest.raises(ValueError, match=words):
    code_sampler.CodeSampler(**fields).path(TOY, skip)
