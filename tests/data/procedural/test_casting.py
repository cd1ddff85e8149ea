import numpy as np
import pytest

from jmim.data.procedural import casting

SIDES = (18, 24)


@pytest.mark.parametrize("seed", range(8))
def test_solids_stand_on_the_disc_and_do_not_touch(seed):
  scene = casting.draw(np.random.default_rng(seed))
  assert 1 <= len(scene.solids) <= 3
  for i, solid in enumerate(scene.solids):
    assert solid.centre[2] - solid.half[2] == pytest.approx(casting.GROUND)
    assert np.hypot(*solid.centre[:2]) <= 0.45
    for other in scene.solids[:i]:
      apart = np.hypot(*(solid.centre - other.centre)[:2])
      assert apart > np.hypot(*solid.half[:2])
  assert (scene.colours >= 0).all() and (scene.colours <= 1).all()


def test_cameras_stand_upright_on_an_arc_and_look_at_the_origin():
  poses = casting.arc(np.random.default_rng(0), 6)
  for turn, place in ((p[:, :3], p[:, 3]) for p in poses):
    np.testing.assert_allclose(turn.T @ turn, np.eye(3), atol=1e-12)
    assert np.linalg.det(turn) == pytest.approx(1)
    np.testing.assert_allclose(
      turn[:, 2], -place / np.linalg.norm(place), atol=1e-12
    )
    assert turn[2, 0] == pytest.approx(0) and turn[2, 1] < 0  # down
  away = np.linalg.norm(poses[:, :, 3], axis=1)
  np.testing.assert_allclose(away, away[0])
  angles = np.unwrap(np.arctan2(poses[:, 1, 3], poses[:, 0, 3]))
  assert (np.diff(angles) > 0).all()
  assert angles[-1] - angles[0] < np.radians(2 * casting.ARC)


def ball(centre, radius=0.2):
  half = np.full(3, radius)
  colour = np.array([1.0, 0.5, 0.0])
  return casting.Solid(
    box=False, centre=np.array(centre), half=half, turn=0.0, colour=colour
  )


def scene_of(*solids):
  return casting.Scene(
    solids=solids, colours=np.array([[0.2] * 3, [0.8] * 3]), cell=0.2, turn=0.3
  )


def test_distances_are_those_of_the_surfaces():
  solid = ball((0, 0, 0.3))
  box = casting.Solid(
    box=True,
    centre=np.array([0.6, 0, 0.3]),
    half=np.array([0.1, 0.2, 0.1]),
    turn=0.0,
    colour=np.ones(3),
  )
  scene = scene_of(solid, box)
  origin = np.array([-2.0, 0.0, 0.3])
  ahead = np.array([1.0, 0.0, 0.0])
  _, distance = casting.cast(scene, origin, ahead[None])
  assert distance[0] == pytest.approx(1.8)  # the ball hides the box
  _, distance = casting.cast(scene_of(box), origin, ahead[None])
  assert distance[0] == pytest.approx(2.5)
  down = np.array([0.0, 0.0, -1.0])
  above = np.array([0.0, 0.0, 1.0])
  _, distance = casting.cast(scene_of(), above, down[None])
  assert distance[0] == pytest.approx(1 - casting.GROUND)
  colours, distance = casting.cast(scene, origin, -ahead[None])
  assert np.isinf(distance[0]) and not colours.any()


def test_a_turned_box_is_the_box_seen_from_elsewhere():
  half, angle = np.array([0.1, 0.2, 0.15]), 0.7
  make = lambda turn: scene_of(
    casting.Solid(
      box=True, centre=np.zeros(3), half=half, turn=turn, colour=np.ones(3)
    )
  )
  cos, sin = np.cos(angle), np.sin(angle)
  turn = np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]])
  rng = np.random.default_rng(0)
  origin = np.array([-1.0, 0.1, 0.4])
  ways = -origin + 0.1 * rng.normal(size=(50, 3))
  ways /= np.linalg.norm(ways, axis=1, keepdims=True)
  _, want = casting.cast(make(0.0), origin, ways)
  _, found = casting.cast(make(angle), turn @ origin, ways @ turn.T)
  hit = np.isfinite(want)
  assert 10 < hit.sum()
  np.testing.assert_allclose(found[hit], want[hit], atol=1e-9)


def test_pictures_of_two_cameras_agree_where_both_see_a_point():
  """A point of the ball, unprojected by its depth, has the other's colour."""
  scene, poses = (
    scene_of(ball((0, 0, 0.1), 0.3)),
    casting.arc(np.random.default_rng(1), 6),
  )
  first, second = poses[2], poses[3]
  image, depth = casting.render(scene, first, SIDES)
  origin, along = casting.rays(first, SIDES, casting.FOCAL)
  points = origin + depth[..., None] * along
  to = points - second[:, 3]
  way = to / np.linalg.norm(to, axis=-1, keepdims=True)
  colours, distance = casting.cast(scene, second[:, 3], way)
  seen = (depth > 0) & (np.abs(distance - np.linalg.norm(to, axis=-1)) < 1e-3)
  assert seen.mean() > 0.2
  plain, _ = casting.cast(scene, origin, along)
  np.testing.assert_allclose(colours[seen], plain[seen], atol=1e-4)
  assert image.dtype == np.uint8 and image.shape == (*SIDES, 3)
