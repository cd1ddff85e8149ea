import numpy as np
import pytest

from jmim.data.procedural import molrg


def test_points_lie_in_their_own_subspace_and_fill_it():
  bases = molrg.bases(12, (2, 4))
  rng = np.random.default_rng(0)
  points, labels = molrg.draw(rng, bases, (300, 500))
  assert (np.bincount(labels) == (300, 500)).all()
  for k, u in enumerate(bases):
    own = points[labels == k]
    np.testing.assert_allclose(own @ u @ u.T, own, atol=1e-9)
    np.testing.assert_allclose(
      np.cov((own @ u).T), np.eye(u.shape[1]), atol=0.2
    )
    others = np.concatenate([v for j, v in enumerate(bases) if j != k], 1)
    np.testing.assert_allclose(own @ others, 0, atol=1e-9)


def test_subspaces_depend_on_the_seed_alone():
  again, other = molrg.bases(12, (2, 4)), molrg.bases(12, (2, 4), seed=1)
  np.testing.assert_array_equal(again[0], molrg.bases(12, (2,))[0])
  assert np.abs(again[0] - other[0]).max() > 0.1


def test_more_dimensions_than_there_are():
  with pytest.raises(ValueError, match=r"\(3, 4\) dimensions of 6"):
    molrg.bases(6, (3, 4))
