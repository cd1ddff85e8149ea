import numpy as np
import pytest

from jmim.evals.lib import skeletons


def pose(seed=0):
  return np.random.default_rng(seed).normal(size=(17, 3)) * 300


def seen_at(truth, scale, shift):
  return scale * truth[:, :2] * (1, -1) + shift


def test_a_camera_is_found_from_the_joints_that_count():
  truth = pose()
  places = seen_at(truth, 0.03, (15.0, 12.0))
  places[4] += 9
  seen = np.ones(17, bool)
  seen[4] = False
  scale, shift = skeletons.fitted(truth, places, seen)
  assert scale == pytest.approx(0.03)
  np.testing.assert_allclose(shift, (15, 12))
  with pytest.raises(ValueError, match="1 joints"):
    skeletons.fitted(truth, places, np.arange(17) == 3)


def test_the_truth_is_over_the_hypotheses():
  truth = pose()
  places = seen_at(truth, 0.01, (16.0, 16.0))
  made = np.stack([truth, truth + (400.0, 0, 0)])
  given = dict(places=places[None], seen=np.ones((1, 17), bool))
  maps = np.zeros((1, 32, 32))
  found = skeletons.over(maps, made[None], truth[None], **given)[0]
  white = (found == skeletons.TRUTH).all(-1)
  red = (found == skeletons.MADE).all(-1)
  assert white.sum() > 50 and red.sum() > 50
  # The other is 4 px of 32 to the right.
  away = np.argwhere(red)[:, 1].mean() - np.argwhere(white)[:, 1].mean()
  assert 16 < away < 48
  alone = skeletons.over(maps, made[None, :1], truth[None], **given)[0]
  assert not (alone == skeletons.MADE).all(-1).any()


def test_bones_join_every_joint_but_the_pelvis_to_one_before_it():
  joints, parents = zip(*skeletons.BONES, strict=True)
  assert joints == tuple(range(1, 17))
  assert all(p < j for j, p in skeletons.BONES)
  assert parents.count(8) == 3


def test_joints_that_are_not_known_are_dots():
  truth = np.array([[0, 0, 0], [200, 0, 0], [0, 300, 0]], float)
  places = seen_at(truth, 0.05, (8.0, 24.0))
  given = dict(places=places[None], seen=np.ones((1, 3), bool))
  maps, made = np.zeros((1, 32, 32)), truth[None, None] + (0, -200.0, 0)
  found = skeletons.over(maps, made, truth[None], **given)[0]
  white = (found == skeletons.TRUTH).all(-1)
  assert skeletons.bones_of(3) == () and skeletons.bones_of(17)
  for x, y in places:
    assert white[round((y + 0.5) * 8), round((x + 0.5) * 8)]
  assert 30 < white.sum() < 120 and (found == skeletons.MADE).all(-1).any()


def test_a_pose_is_placed_by_two_joints_at_least():
  spread = np.array([[-1, 1.0, 0.0], [-1, -1, 2.0], [-1, -1, -1]])
  assert skeletons.placed(spread).tolist() == [True, False, False]
