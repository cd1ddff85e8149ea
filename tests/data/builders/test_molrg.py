"""The data set of known subspaces."""

import numpy as np

from jmim.data import sources
from jmim.data.builders import molrg as builder


def test_points_are_stored_exactly_with_their_subspace(tmp_path):
  source = sources.build("molrg/uneven", "train", str(tmp_path))
  rows = [source[i] for i in range(len(source))]
  points = np.stack([row["vector"] for row in rows])
  labels = np.array([row["label"] for row in rows])
  assert points.dtype == np.float32 and source.num_classes == 3
  assert (np.bincount(labels) == (150, 250, 400)).all()
  for k, u in enumerate(builder.bases("uneven")):
    own = points[labels == k]
    np.testing.assert_allclose(own @ u @ u.T, own, atol=1e-5)
    assert np.linalg.matrix_rank(own, tol=1e-3) == u.shape[1]
