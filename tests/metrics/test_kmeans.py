import numpy as np
import pytest

from jmim.metrics import kmeans


def brute(x, codes):
  return ((x[:, None] - codes) ** 2).sum(-1)


def test_steps_are_lloyd_s(normal):
  x = normal(200, 3)
  start = kmeans.lloyd(x, 7, iterations=0, seed=4).codes
  assert len(np.unique(start, axis=0)) == 7
  assert (brute(start, x).min(1) == 0).all()
  codes, errors = start.copy(), []
  for _ in range(4):
    gap = brute(x, codes)
    errors.append(gap.min(1).mean())
    codes = np.stack([x[gap.argmin(1) == k].mean(0) for k in range(7)])
  found = kmeans.lloyd(x, 7, iterations=4, seed=4)
  np.testing.assert_allclose(found.codes, codes, atol=1e-5)
  last = brute(x, codes)
  errors.append(last.min(1).mean())
  np.testing.assert_allclose(found.errors, errors, rtol=1e-5)
  assert (np.diff(found.errors) <= 1e-7).all()
  counts = np.bincount(last.argmin(1), minlength=7)
  np.testing.assert_array_equal(found.counts, counts)


def test_chunks_change_nothing(normal, monkeypatch):
  x = normal(50, 4)
  whole = kmeans.lloyd(x, 5, iterations=3)
  monkeypatch.setattr(kmeans, "CHUNK", 16)
  parts = kmeans.lloyd(x, 5, iterations=3)
  np.testing.assert_allclose(parts.codes, whole.codes, atol=1e-5)
  np.testing.assert_array_equal(parts.counts, whole.counts)


def test_a_centroid_without_vectors_starts_beside_the_worst(normal):
  """Forty copies of one vector: of the centroids that start there one stays."""
  x = np.concatenate([np.zeros((40, 2)), 5 + 0.1 * normal(40, 2)]).astype("f4")
  found = kmeans.lloyd(x, 6, iterations=20)
  assert np.isfinite(found.codes).all()
  start = kmeans.lloyd(x, 6, iterations=0).codes
  assert (start == 0).all(1).sum() > 1
  far = found.counts[(found.codes > 1).all(1)]
  assert len(far) == 5 and (far > 0).all() and far.sum() == 40
  assert found.errors[-1] < 0.006


def test_fewer_vectors_than_centroids():
  with pytest.raises(ValueError, match="3 vectors for 4 centroids"):
    kmeans.lloyd(np.zeros((3, 2)), 4)
