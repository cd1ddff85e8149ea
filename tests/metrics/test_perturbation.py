import numpy as np
import pytest

from jmim.metrics import perturbation


def wave(cycles, size=32):
  """[1, size, size, 1]: so many cycles along x."""
  x = np.cos(2 * np.pi * cycles * np.arange(size) / size)
  return np.broadcast_to(x[None, None, :, None], (1, size, size, 1))


def test_variation_of_a_step_and_of_stripes():
  step = np.zeros((1, 4, 5, 2))
  step[:, :, 3:] = 2.0
  np.testing.assert_allclose(perturbation.variation(step), [2 / 4])
  np.testing.assert_allclose(
    perturbation.variation(step.swapaxes(1, 2)), [2 / 4]
  )
  stripes = wave(16)  # 1, -1, 1, ..
  np.testing.assert_allclose(perturbation.variation(stripes), [2.0])
  both = np.concatenate([stripes, 0 * stripes])
  np.testing.assert_allclose(perturbation.variation(both), [2.0, 0.0])


@pytest.mark.parametrize("cycles, share", [(0, 0), (3, 0), (8, 0), (9, 1)])
def test_waves_are_high_or_low(cycles, share):
  found = perturbation.high_share(wave(cycles))
  np.testing.assert_allclose(found, [share], atol=1e-12)
  turned = perturbation.high_share(wave(cycles).swapaxes(1, 2))
  np.testing.assert_allclose(turned, found, atol=1e-12)


def test_noise_has_three_quarters_and_nothing_none():
  noise = np.random.default_rng(0).normal(size=(4, 32, 32, 3))
  found = perturbation.high_share(noise)
  np.testing.assert_allclose(found, 1 - (17 / 32) ** 2, atol=0.03)
  assert perturbation.high_share(0 * noise).tolist() == [0] * 4
