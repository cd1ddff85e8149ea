import numpy as np
import pytest

from jmim.diffusion import shifted

REAL = dict(kappa=2.0, power=0.3, least=0.04, end=0.99)
FACE = dict(kappa=2.0, power=0.3, least=0.2, end=0.99)


@pytest.fixture(scope="module")
def process():
  return shifted.make(15, **REAL)


def test_the_tables_are_the_published_ones(process):
  first = [0.02, 0.1172, 0.1763, 0.2336, 0.2916, 0.351, 0.4124, 0.4759]
  last = [0.5417, 0.6099, 0.6807, 0.754, 0.83, 0.9086, 0.99]
  roots = first + last
  np.testing.assert_allclose(process.root, roots, atol=1e-4)
  face = shifted.make(4, **FACE)
  np.testing.assert_allclose(
    face.root, [0.0316, 0.3764, 0.6673, 0.99], atol=1e-4
  )


def test_a_deterministic_step_keeps_images(process):
  """k + m + j = 1, by the three formulas of SinSR."""
  k, m, j = process.mix()
  eta, before = process.eta, np.append(0, process.eta[:-1])
  np.testing.assert_allclose(k + m + j, 1, rtol=1e-12)
  expected = 1 - before + np.sqrt(before * eta) - np.sqrt(before / eta)
  np.testing.assert_allclose(k, expected, rtol=1e-12)
  assert (k[0], m[0], j[0]) == (1, 0, 0)  # the last step is the prediction


def test_the_posterior_is_bayes_rule(process):
  """q(x_{t-1} | x_t, x) of two Gaussians, in the residual's mean."""
  q, eta = process.posterior(), process.eta
  for t in range(1, len(process)):
    shift, before = eta[t] - eta[t - 1], eta[t - 1]
    # x_t = x_{t-1} + shift e + kappa sqrt(shift) n, prior of variance before.
    gain = before / (before + shift)
    assert q.of_x[t] == pytest.approx(gain)
    assert q.of_x0[t] == pytest.approx(1 - gain)
    assert q.var[t] == pytest.approx(process.kappa**2 * gain * shift)
  assert q.var[0] == 0 and q.log_var[0] == q.log_var[1] == np.log(q.var[1])


def test_inputs_are_scaled(process):
  eta, kappa = process.eta, process.kappa
  latent = 1 / np.sqrt(eta * kappa**2 + 1)
  np.testing.assert_allclose(process.inside("latent"), latent)
  pixel = 1 / (3 * kappa * np.sqrt(eta) + 1)
  np.testing.assert_allclose(process.inside("pixel"), pixel)
  assert (process.inside("none") == 1).all()
  with pytest.raises(ValueError, match="scaling 'x'"):
    process.inside("x")


def test_fewer_steps_know_the_old_times(process):
  few = process.respaced(4)
  np.testing.assert_array_equal(few.inputs, [0, 3, 7, 11])
  np.testing.assert_array_equal(few.root, process.root[[0, 3, 7, 11]])
  np.testing.assert_array_equal(few.levels().time, [11, 7, 3, 0, 0])
  np.testing.assert_array_equal(process.respaced(15).root, process.root)
  with pytest.raises(ValueError, match="16 steps of 15"):
    process.respaced(16)


@pytest.mark.parametrize("times, change", [(1, {}), (4, dict(end=0.01))])
def test_levels_must_rise(times, change):
  with pytest.raises(ValueError, match="rise"):
    shifted.make(times, **REAL | change)
