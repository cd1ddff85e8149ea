import numpy as np
import pytest

from jmim.diffusion import boxes


@pytest.mark.parametrize("ratio", [1, 2, 4])
def test_targets_keep_the_variance_of_noise(ratio, normal):
  noise = normal(64, 16, 16, 3)
  found = np.asarray(boxes.boxed(noise, ratio))
  assert abs(found.var() - 1) < 0.05
  squares = noise.reshape(64, 16 // ratio, ratio, 16 // ratio, ratio, 3)
  np.testing.assert_allclose(found, squares.sum((2, 4)) / ratio, atol=1e-5)


@pytest.mark.parametrize("a, s", [(0.6, 0.8), (1.0, 0.1)])
def test_the_true_noise_has_no_error_and_leads_to_means(a, s, normal):
  data, noise = normal(2, 8, 8, 3), normal(2, 8, 8, 3, seed=1)
  preds = [boxes.boxed(noise, r) for r in (4, 2, 1)]
  for error in boxes.errors(preds, noise):
    np.testing.assert_allclose(error, 0, atol=1e-9)
  off = boxes.errors([e + 0.5 for e in preds], noise)
  np.testing.assert_allclose(off, 0.25, rtol=1e-5)
  x = a * data + s * noise
  for r, mean in zip((4, 2, 1), boxes.means(preds, x, a, s), strict=True):
    squares = data.reshape(2, 8 // r, r, 8 // r, r, 3)
    np.testing.assert_allclose(mean, squares.mean((2, 4)), atol=1e-5)
