"""What a start, an eta and known pixels do to an estimate."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from jmim.core import field
from jmim.diffusion import respace
from jmim.diffusion import targets
from jmim.diffusion import variance
from jmim.methods.parts import contraction
from jmim.methods.restore import difface

TINY = difface.DifFace.tiny()
B = 2


def never(x, t, told):
  raise AssertionError("the network is not called")


def silent(x, t, told):
  """No noise, and the middle of both variances."""
  return jnp.zeros((*x.shape[:-1], 2 * x.shape[-1]))


def walked(method, estimate, start, more=None, known=None, network=silent):
  return method.contraction.walk(
    method.noise,
    method.sampling,
    network,
    estimate=jnp.asarray(estimate),
    start=jnp.asarray(start),
    more=more,
    known=known,
  )


def test_from_the_start_0_it_is_the_estimate(normal):
  m = field.replace(TINY, contraction=dict(start=0))
  z = normal(B, 8, 8, 3)
  made, path = walked(m, z, normal(B, 8, 8, 3, seed=1), network=never)
  np.testing.assert_array_equal(made, z)
  assert path == {} and m.contraction.level(m.noise, m.sampling) == (1.0, 0.0)


def test_the_distance_of_two_estimates_contracts_by_the_signal(normal):
  """x has the noise of time n, and is taken for one of time n - 1."""
  m = field.replace(
    TINY, contraction=dict(start=1), sampling=dict(clip=0.0, eta=0.0)
  )
  a, b, noise = (normal(B, 8, 8, 3, seed=i) for i in range(3))
  first, second = (walked(m, z, noise)[0] for z in (a, b))
  power = np.cumprod(1 - np.linspace(1e-3, 0.5, 20))[[0, 4]]
  expected = np.sqrt(power[1] / power[0]) * (a - b)
  np.testing.assert_allclose(first - second, expected, atol=1e-5)
  of_time = np.sqrt(1 - power[1])
  assert m.contraction.level(m.noise, m.sampling)[1] == pytest.approx(of_time)


def test_the_published_start_has_the_factor_of_the_paper():
  m = difface.DifFace()
  a, s = m.contraction.level(m.noise, m.sampling)
  power = np.cumprod(1 - np.linspace(1e-4, 0.02, 1000))[400]
  assert (a**2, s**2) == pytest.approx((power, 1 - power))
  assert a**2 / (2 * s**2) == pytest.approx(0.120, abs=5e-4)


def test_the_divergence_is_that_factor_times_the_squared_error(normal):
  """KL(q(x_n | x) || p(x_n | z)) by draws of x_n, of densities of SciPy."""
  m = difface.DifFace()
  a, s = m.contraction.level(m.noise, m.sampling)
  x, z = normal(4, seed=1), normal(4, seed=2)
  of = scipy.stats.norm.logpdf
  drawn = np.asarray(targets.noised(x, normal(100_000, 4, seed=3), a, s))
  ratio = of(drawn, a * x, s) - of(drawn, a * z, s)
  expected = a**2 / (2 * s**2) * ((x - z) ** 2).sum()
  assert expected > 0.4
  assert ratio.sum(1).mean() == pytest.approx(expected, rel=0.03)


@pytest.mark.parametrize("gamma", [0.0, 0.25, 0.5])
def test_a_step_leads_to_known_pixels(gamma, normal):
  """All the way at one half, exactly; of what is missing nothing moves."""
  m = field.replace(TINY, contraction=dict(gamma=gamma), sampling=dict(eta=0.0))
  z, noise, y = (np.tanh(normal(B, 8, 8, 3, seed=i)) for i in range(3))
  hole = (normal(B, 8, 8, 1, seed=3) > 0).astype("f4")
  known = contraction.Known(jnp.asarray(y), jnp.asarray(hole))
  walk = jax.jit(lambda known: walked(m, z, noise, known=known)[1])
  plain, path = walk(None), walk(known)
  # The first call of both sees the same state.
  free, pulled = plain["x0"][0], path["x0"][0]
  expected = free - 2 * gamma * (1 - hole) * (free - y)
  np.testing.assert_allclose(pulled, expected, atol=1e-6)
  if gamma == 0.5:
    x0 = np.asarray(path["x0"])
    inside = np.broadcast_to(hole == 0, x0.shape)
    np.testing.assert_allclose(
      x0[inside], np.broadcast_to(y, x0.shape)[inside], atol=1e-6
    )


def test_eta_0_needs_no_noise_and_eta_1_has_that_of_the_posterior():
  of = lambda eta: field.replace(TINY, sampling=dict(eta=eta))
  assert not of(0.0).noise.table(of(0.0).sampling).stochastic
  m = of(1.0)
  visited = respace.visited("stride", 20, 5)
  var = variance.posterior(m.noise.process.levels(visited)).var
  std = m.noise.table(m.sampling).std
  np.testing.assert_allclose(std**2, var, atol=1e-12)


@pytest.mark.parametrize(
  "change, said",
  [
    (dict(contraction=dict(start=5)), "start=5 of 5 visited"),
    (dict(sampling=dict(guidance=2.0)), "sampling.guidance=2.0"),
  ],
)
def test_what_cannot_be_is_refused(change, said):
  m = field.replace(TINY, **change)
  with pytest.raises(ValueError, match=said):
    m.contraction.check(m.noise, m.sampling)


def test_how_it_restores_may_be_asked_later():
  asked = field.asked(difface.DifFace)
  fields = dataclasses.fields(contraction.Contraction)
  assert {f"contraction.{f.name}" for f in fields} <= asked
  assert {"sampling.eta", "degraded.degradation"} <= asked
  assert "restorer.host.path" in asked and "dims.width" not in asked
