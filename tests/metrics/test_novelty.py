import numpy as np
import pytest

from jmim.metrics import novelty


def test_distances_are_those_of_all_pairs(monkeypatch):
  rng = np.random.default_rng(0)
  made, train = rng.normal(size=(7, 5)), 3 + rng.normal(size=(11, 5))
  monkeypatch.setattr(novelty, "_BLOCK", 22)  # two samples at a time
  found = novelty.two_nearest(made, train)
  every = np.linalg.norm(made[:, None] - train, axis=-1)
  np.testing.assert_allclose(found, np.sort(every, 1)[:, :2], rtol=1e-9)
  copy = novelty.two_nearest(train[:1], train)
  assert copy[0, 0] == pytest.approx(0, abs=1e-6) and copy[0, 1] > 0.1


def test_a_copy_is_much_nearer_to_one_than_to_the_next():
  near = np.array([[0.0, 1.0], [0.33, 1.0], [0.34, 1.0], [1.0, 1.0]])
  assert novelty.is_new(near, 1 / 3).tolist() == [False, False, True, True]
