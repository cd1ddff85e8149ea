"""PCA, K-subspaces and recovery."""

import numpy as np
import pytest

from jmim.data.procedural import molrg
from jmim.metrics import subspaces

N = 12


def rng(seed=0):
  return np.random.default_rng(seed)


def test_as_many_points_as_dimensions_are_enough_and_one_less_is_not():
  (truth,) = molrg.bases(N, (4,))
  for seed in range(5):
    points, _ = molrg.draw(rng(seed), (truth,), (4,))
    assert subspaces.distance(subspaces.pca(points, 4), truth) < 1e-5
    # One direction is arbitrary: the bound is sqrt(2 min(d - N, n - d)).
    error = subspaces.distance(subspaces.pca(points[:3], 4), truth)
    assert 0.9 < error <= 2**0.5 + 1e-6


def test_pca_is_not_centred():
  x = np.ones((5, 3)) + 0.01 * rng().normal(size=(5, 3))
  (first,) = subspaces.pca(x, 1).T
  np.testing.assert_allclose(np.abs(first), 3**-0.5, atol=0.01)


def test_scaling_a_point_does_not_move_it_to_another_component():
  bases = molrg.bases(N, (2, 3, 4))
  x = rng().normal(size=(40, N))
  scales = rng().uniform(0.1, 9, (40, 1))
  own = subspaces.assign(bases, x)
  np.testing.assert_array_equal(own, subspaces.assign(bases, scales * x))
  assert len(set(own.tolist())) == 3


def test_turned_bases_are_the_same():
  bases = molrg.bases(N, (2, 3))
  turned = [
    u @ np.linalg.qr(rng().normal(size=(u.shape[1],) * 2))[0] for u in bases
  ]
  x = rng().normal(size=(9, N))
  assert subspaces.objective(turned, x) == pytest.approx(
    subspaces.objective(bases, x)
  )
  assert subspaces.recovery(turned, bases).max() < 1e-9


def test_recovery_is_up_to_the_order_and_reported_in_the_true_one():
  bases = molrg.bases(N, (2, 2, 2))
  spoilt = bases[1].copy()
  spoilt[:, 0] = molrg.bases(N, (2, 2, 2, 1))[3][:, 0]
  errors = subspaces.recovery([bases[2], spoilt, bases[0]], bases)
  np.testing.assert_allclose(errors, [0, 2**0.5, 0], atol=1e-7)


@pytest.mark.parametrize("dims", [(2, 2), (1, 3)])
def test_k_subspaces_finds_them(dims):
  truth = molrg.bases(N, dims)
  points, labels = molrg.draw(rng(), truth, (12, 12))
  found = subspaces.k_subspaces(rng(1), points, dims)
  assert subspaces.recovery(found, truth).max() < 1e-5
  assert subspaces.objective(found, points) == pytest.approx(
    float((points**2).sum()), rel=1e-5
  )
