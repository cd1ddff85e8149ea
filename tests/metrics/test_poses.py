import numpy as np
import pytest
import scipy.spatial

from jmim.metrics import poses

J = 6


def some(*shape, seed=0):
  return np.random.default_rng(seed).normal(size=(*shape, J, 3)) * 100


def rotation(seed=0):
  return scipy.spatial.transform.Rotation.random(random_state=seed).as_matrix()


def test_mpjpe_is_the_mean_distance():
  truth, made = np.zeros((J, 3)), np.zeros((J, 3))
  made[0], made[2] = (3, 4, 0), (0, 0, 12)
  assert poses.mpjpe(made, truth) == pytest.approx((5 + 12) / J)


def test_moved_turned_and_scaled_poses_are_the_same_when_aligned():
  truth = some(2)
  made = 0.3 * truth @ rotation() + np.array([5.0, -7.0, 900.0])
  np.testing.assert_allclose(poses.aligned(made, truth), truth, atol=1e-8)
  mirrored = truth * (-1, 1, 1)
  found = poses.aligned(mirrored, truth)
  assert poses.mpjpe(found, truth).min() > 10  # no turn makes it that


def test_it_equals_scipy_without_mirrors():
  for seed in range(8):
    made, truth = some(seed=seed), some(seed=seed + 50)
    x, y = made - made.mean(0), truth - truth.mean(0)
    turn, _ = scipy.spatial.transform.Rotation.align_vectors(y, x)
    turned = turn.apply(x)
    scale = (turned * y).sum() / (turned**2).sum()
    expected = scale * turned + truth.mean(0)
    np.testing.assert_allclose(poses.aligned(made, truth), expected, atol=1e-6)


def test_hypotheses_are_aligned_each_for_itself():
  made, truth = some(2, 3), some(2, 1, seed=1)
  found = poses.aligned(made, truth)
  for b, n in np.ndindex(2, 3):
    one = poses.aligned(made[b, n], truth[b, 0])
    np.testing.assert_allclose(found[b, n], one, atol=1e-9)


def test_a_pose_without_extent_is_put_in_the_middle():
  truth = some()
  found = poses.aligned(np.ones((J, 3)), truth)
  np.testing.assert_allclose(found, np.tile(truth.mean(0), (J, 1)))


def test_pck_is_the_share_of_near_joints():
  truth, made = np.zeros((2, J, 3)), np.zeros((2, J, 3))
  made[1, :, 0] = [0, 149, 150, 151, 400, 10]
  assert poses.pck(made, truth, list(range(J))).tolist() == [1, 0.5]
  assert poses.pck(made, truth, [0, 1, 4, 5]).tolist() == [1, 0.75]
  assert poses.pck(made, truth, [1], within=100.0).tolist() == [1, 0]


def test_cps_is_the_area_of_poses_right_as_a_whole():
  truth = some(4)
  assert poses.cps(truth, truth, list(range(J)))[0] == 299
  made = truth + some(4, seed=3) * 0.3
  fit = poses.aligned(made, truth)
  worst = poses.distances(fit, truth).max(-1)
  right = [[w < t for t in range(1, 301)] for w in worst]
  expected = [sum(r) - (r[0] + r[-1]) / 2 for r in right]
  np.testing.assert_allclose(poses.cps(fit, truth, list(range(J))), expected)
  less = poses.cps(fit, truth, [0, 1])
  assert (less >= expected).all() and (less > expected).any()
