import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import randomness
from jmim.methods.parts import residual
from jmim.methods.parts import score_gap

PROCESS = residual.Residual(times=4, kappa=1.0)
HSD = score_gap.ScoreGap(weight=0.5)


def network(x, t):
  return jnp.tanh(x) * (1 + t[:, None, None, None])


@pytest.fixture(scope="module")
def given(normal):
  """Samples of student and teacher, degraded data, draws."""
  arrays = [jnp.asarray(normal(2, 4, 4, 1, seed=seed)) for seed in range(4)]
  draws = {"hsd_t": jnp.array([0, 2]), "hsd_noise": arrays[3]}
  student, teacher, y, _ = arrays
  return dict(student=student, teacher=teacher, y=y, draws=draws)


def implied(z, given, twice=False):
  """The noise that the network sees, written out."""
  t, u = np.asarray(given["draws"]["hsd_t"]), given["draws"]["hsd_noise"]
  eta = PROCESS.process.eta[t][:, None, None, None]
  x = z + eta * (given["y"] - z) + np.sqrt(eta) * u
  read = x / np.sqrt(eta + 1) if twice else x
  x0 = np.tanh(read) * (1 + t[:, None, None, None])
  return (x - x0 - eta * (given["y"] - x0)) / np.sqrt(eta)


@pytest.mark.parametrize("twice", [False, True])
def test_the_gap_is_a_difference_of_implied_noise(twice, given):
  hsd = dataclasses.replace(HSD, double_scale=twice)
  gap = hsd.gap(PROCESS, network, **given)
  student, teacher = (
    implied(given[name], given, twice) for name in ("student", "teacher")
  )
  np.testing.assert_allclose(gap, student - teacher, rtol=1e-3, atol=1e-3)


def test_score_distillation_subtracts_what_was_added(given):
  gap = dataclasses.replace(HSD, kind="sds").gap(PROCESS, network, **given)
  expected = implied(given["student"], given) - given["draws"]["hsd_noise"]
  np.testing.assert_allclose(gap, expected, rtol=1e-3, atol=1e-3)


def test_its_gradient_is_the_gap_and_nothing_at_equality(given):
  """Up to rounding: both samples go through the network as one batch."""
  others = {k: v for k, v in given.items() if k != "student"}

  def loss(student):
    return HSD.loss(PROCESS, network, student=student, **others).sum()

  both = jax.jit(jax.value_and_grad(loss))
  gap = HSD.gap(PROCESS, network, **given)
  value, grad = both(given["student"])
  np.testing.assert_allclose(grad, 0.5 * gap / 16, rtol=1e-4, atol=1e-5)
  expected = 0.5 * (gap * given["student"]).mean((1, 2, 3)).sum()
  np.testing.assert_allclose(value, expected, rtol=1e-4)
  value, grad = both(given["teacher"])
  assert np.abs(value) < 1e-6 and np.abs(grad).max() < 1e-7


def test_draws_are_at_the_first_times():
  keys = randomness.Keys(jax.random.key(0))
  drawn = HSD.draw(keys, (64, 2, 2, 1))
  assert set(np.unique(drawn["hsd_t"])) == {0, 1, 2}
  with pytest.raises(ValueError, match="hsd.times=3"):
    HSD.check(2)
