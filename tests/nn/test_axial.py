import jax
import numpy as np

from jmim.nn import axial


def test_frequencies_begin_between_half_a_turn_and_five():
  module = axial.AxialRotary(heads=3, head=16, grid=(2, 4))
  params = module.init(jax.random.key(0))["params"]
  first = np.exp(params["row"][0])
  np.testing.assert_allclose(first[[0, -1]], [np.pi, 5 * np.pi], rtol=1e-5)
  np.testing.assert_allclose(first[1:] / first[:-1], 5 ** (1 / 3), rtol=1e-5)
  angles = np.asarray(module.apply({"params": params}))[0]
  # Centres of two rows are at -1/2 and 1/2, of four columns from -3/4.
  np.testing.assert_allclose(angles[2, 0, :4], -0.5 * first, rtol=1e-5)
  np.testing.assert_allclose(angles[2, 0, 4:], -0.75 * first, rtol=1e-5)
  np.testing.assert_allclose(angles[:, 0], -angles[:, 7], rtol=1e-5)
