import jax
import jax.numpy as jnp
import numpy as np

from jmim.data.procedural import casting
from jmim.nn import cameras

SIDES = (4, 6)


def poses(seed=0, count=5):
  rng = np.random.default_rng(seed)
  return np.stack([casting.arc(rng, count) for _ in range(2)]).astype("f4")


def homogeneous(pose):
  return np.concatenate([pose, [[0, 0, 0, 1]]])


def test_the_first_camera_looks_along_z_from_its_distance():
  given = poses()
  found = np.asarray(cameras.relative(given))
  away = np.linalg.norm(given[:, 0, :, 3], axis=-1)
  np.testing.assert_allclose(cameras.distance(given), away, rtol=1e-6)
  for scene in range(2):
    np.testing.assert_allclose(found[scene, 0, :, :3], np.eye(3), atol=1e-6)
    np.testing.assert_allclose(
      found[scene, 0, :, 3], [0, 0, -away[scene]], atol=1e-6
    )
    to_first = np.linalg.inv(homogeneous(given[scene, 0]))
    back = np.eye(4)
    back[2, 3] = -away[scene]
    for i in range(5):
      want = back @ to_first @ homogeneous(given[scene, i])
      np.testing.assert_allclose(found[scene, i], want[:3], atol=1e-5)


def test_a_turned_world_is_the_same_scene():
  """Only poses relative to the input count, and its distance."""
  given = poses()
  turn, _ = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))
  turn *= np.sign(np.linalg.det(turn))
  np.testing.assert_allclose(
    cameras.relative((turn @ given).astype("f4")),
    cameras.relative(given),
    atol=1e-5,
  )


def test_rays_are_those_the_caster_casts():
  given, focal = poses(), np.full((2, 5), 1.3, np.float32)
  h, w = SIDES
  index = np.arange(5 * h * w)[None].repeat(2, 0)
  origins, along = jax.jit(cameras.rays, static_argnums=3)(
    given, focal, index, SIDES
  )
  along = along / jnp.linalg.norm(along, axis=-1, keepdims=True)
  for scene in range(2):
    for view in range(5):
      start, ways = casting.rays(given[scene, view], SIDES, 1.3)
      part = slice(view * h * w, (view + 1) * h * w)
      np.testing.assert_allclose(
        along[scene, part], ways.reshape(-1, 3), atol=1e-6
      )
      np.testing.assert_allclose(
        origins[scene, part], np.tile(start, (h * w, 1)), atol=1e-6
      )


def test_the_middle_of_the_image_is_ahead():
  given = poses()
  origins, along = cameras.rays(
    given, np.ones((2, 5), "f4"), np.array([[4], [4]]), (3, 3)
  )
  np.testing.assert_allclose(along[:, 0], given[:, 0, :, 2], atol=1e-6)
  np.testing.assert_allclose(origins[:, 0], given[:, 0, :, 3])
