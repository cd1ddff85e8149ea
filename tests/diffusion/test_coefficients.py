import numpy as np
import walks

from jmim.diffusion import coefficients
from jmim.diffusion import schedule


def test_a_blank_table_keeps_the_state_as_its_anchor_and_ends_nowhere():
  table = coefficients.blank(walks.PATH, memory=2)
  assert table.memory == 2 and not table.stochastic
  np.testing.assert_array_equal(table.anchor, [[1, 0, 0, 0]] * 12)
  assert not table.out.any()
  np.testing.assert_array_equal(table.level.time, walks.PATH.time[:-1])
  np.testing.assert_array_equal(table.level.to_noise, walks.PATH.noise[1:])


def test_the_exponential_step_is_exact_for_constant_data():
  path, x0, eps = walks.PATH, 0.7, -1.3
  for i, j in ((0, 1), (3, 7), (2, len(path))):
    keep, gain = coefficients.exponential(path, i, j)
    x = path.signal[i] * x0 + path.noise[i] * eps
    wanted = path.signal[j] * x0 + path.noise[j] * eps
    np.testing.assert_allclose(keep * x + gain * x0, wanted, rtol=1e-9)


def test_scales_of_pure_noise_are_infinite():
  path = schedule.make("linear", zero_snr=True).levels()
  one, ratio = coefficients.scales(path.signal, path.noise)
  assert np.isinf(one[0]) and np.isinf(ratio[0])
  np.testing.assert_allclose(one[1:] * path.signal[1:], 1.0)
