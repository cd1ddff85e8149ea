import cv2
import numpy as np
import pytest

from jmim.nn import bilateral


@pytest.mark.parametrize(
  "diameter, value, space", [(5, 0.2, 50.0), (3, 0.05, 1.0), (7, 1.0, 2.0)]
)
def test_it_is_opencvs(diameter, value, space):
  rng = np.random.default_rng(diameter)
  x = rng.random((2, 12, 17, 1)).astype(np.float32)
  found = bilateral.filtered(x, diameter, value, sigma_space=space)
  expected = [cv2.bilateralFilter(i, diameter, value, space) for i in x[..., 0]]
  np.testing.assert_allclose(found[..., 0], expected, atol=2e-5)


def test_an_edge_stays_and_noise_goes():
  rng = np.random.default_rng(0)
  clean = np.repeat([0.0, 1.0], 8)[None, None, :, None] * np.ones((1, 16, 1, 1))
  noisy = clean + 0.05 * rng.normal(size=clean.shape)
  found = np.asarray(bilateral.filtered(noisy, 5, 0.2, sigma_space=50.0))
  assert np.abs(found - clean).mean() < 0.4 * np.abs(noisy - clean).mean()
  assert found[:, :, 8].min() - found[:, :, 7].max() > 0.8


@pytest.mark.parametrize("diameter", [1, 4, 9])
def test_discs_that_do_not_fit_are_refused(diameter):
  with pytest.raises(ValueError, match=f"diameter {diameter}"):
    bilateral.filtered(np.zeros((1, 4, 4, 1)), diameter, 0.2, sigma_space=1.0)
