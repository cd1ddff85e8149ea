import numpy as np

from jmim.methods.parts import heatmaps
from jmim.nn import heatmaps as maps


def test_stored_maps_are_as_they_are():
  part = heatmaps.Heatmaps(joints=2, size=4)
  assert part.inputs()["heatmaps"].shape == (2, 4, 4)
  stored = np.random.default_rng(0).normal(size=(3, 2, 4, 4))
  np.testing.assert_array_equal(
    part.of({"heatmaps": stored}), stored.astype(np.float32)
  )


def test_drawn_maps_are_those_of_the_modes():
  part = heatmaps.Heatmaps(joints=2, size=8, modes=1, sigma=1.5)
  (name,) = part.inputs()
  modes = np.array([[[[1.0, 2.0, 1.0]], [[5.0, 6.0, 0.5]]]])
  found = part.of({name: modes})
  np.testing.assert_allclose(found, maps.gaussians(modes, 8, 1.5), atol=1e-6)
  assert abs(found[0, 1, 6, 5] - 0.5) < 1e-6
