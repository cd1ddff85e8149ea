import numpy as np
import pytest

from jmim.data.procedural import bodies
from jmim.methods.parts import body


def many(n=300):
  return np.stack([bodies.draw(np.random.default_rng(i)) for i in range(n)])


def test_bones_have_their_lengths():
  joints = many()
  for j, parent in enumerate(bodies.PARENTS):
    if parent < 0:
      assert (joints[:, j] == 0).all()
      continue
    bone = np.linalg.norm(joints[:, j] - joints[:, parent], axis=-1)
    np.testing.assert_allclose(bone, bodies.LENGTHS[j], rtol=1e-9)


def test_sides_mirror_each_other():
  assert [bodies.MIRROR[i] for i in bodies.MIRROR] == list(range(17))
  for j, other in enumerate(bodies.MIRROR):
    name, there = bodies.JOINTS[j], bodies.JOINTS[other]
    swapped = name.replace("right", "@").replace("left", "right")
    assert there == swapped.replace("@", "left")
    assert bodies.PARENTS[other] == bodies.MIRROR[bodies.PARENTS[j]] or j == 0
  hips = [bodies.JOINTS[1 + i] for i in body.Body().hips]
  assert hips == ["right hip", "left hip"]
  joints = many(20)
  middle = joints[:, [1, 4]].mean(1)
  np.testing.assert_allclose(middle, 0, atol=1e-12)  # the pelvis


def test_limbs_bend_as_those_of_a_body_do():
  """In the frame of the trunk: the left is left, knees bend backwards."""
  for joints in many(100):
    left = (joints[4] - joints[1]) / np.linalg.norm(joints[4] - joints[1])
    forward = np.cross(left, [0.0, 1.0, 0.0])
    thigh, shin = joints[5] - joints[4], joints[6] - joints[5]
    # Turned from the thigh to the shin about the left: never forward.
    assert np.dot(np.cross(thigh, shin), left) > -1e-9
    assert abs(np.dot(shin, left)) < 1e-9
    elbow = joints[12] - joints[11]
    assert np.dot(elbow, left) > -1e-9  # abducted to its own side
    assert np.dot(joints[16] - joints[15], forward) < 0.26


def test_a_camera_sees_a_standing_body_as_large_as_said():
  head = np.array([0.0, 0.75, 0.0])
  feet = np.array([0.0, -0.9, 0.0])
  seen = bodies.project(np.stack([head, feet]), 32)
  np.testing.assert_allclose(seen[1, 1] - seen[0, 1], 0.7 * 32)
  np.testing.assert_allclose(seen.mean(0), 16)
  near, far = bodies.project(np.array([[0.5, 0, 1.0], [0.5, 0, -1.0]]), 32)
  assert near[0] - 16 == pytest.approx(5 / 3 * (far[0] - 16))
  inside = bodies.project(many(), 32)
  assert ((inside > 0) & (inside < 32)).mean() > 0.995


def test_a_vector_has_no_pelvis_and_means_of_0():
  joints = many(1)[0]
  vector = bodies.vector(joints).reshape(3, 16)
  np.testing.assert_allclose(vector.mean(1), 0, atol=1e-6)
  moved = vector.T - (joints[1:] - joints[1:].mean(0))
  np.testing.assert_allclose(moved, 0, atol=1e-6)


def test_second_modes_are_at_the_other_side_or_some_pixels_away():
  rng, seen = np.random.default_rng(0), bodies.project(many(1)[0], 32)
  second = np.zeros(17, bool)
  second[[2, 13]] = True
  kinds = set()
  for _ in range(40):
    found = bodies.modes(seen, second, rng)
    np.testing.assert_allclose(found[:, 0, :2], seen[1:], rtol=1e-6)
    assert (found[:, 0, 2] == 1).all()
    assert np.flatnonzero(found[:, 1, 2]).tolist() == [1, 12]
    for j in (2, 13):
      place, height = found[j - 1, 1, :2], found[j - 1, 1, 2]
      assert 0.6 <= height <= 1.1
      mirrored = np.abs(place - seen[bodies.MIRROR[j]]).max() < 1e-4
      away = np.linalg.norm(place - seen[j])
      assert mirrored or 4 - 1e-4 <= away <= 8 + 1e-4
      kinds.add(bool(mirrored))
  assert kinds == {True, False}
