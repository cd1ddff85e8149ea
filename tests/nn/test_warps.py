import cv2
import jax.numpy as jnp
import numpy as np

from jmim.nn import warps

RNG = np.random.default_rng(0)
SQUARE = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.float32)


def quads(n=3, by=0.2):
  return SQUARE + by * RNG.uniform(-1, 1, (n, 4, 2)).astype(np.float32)


def test_a_homography_maps_the_square_to_the_quad():
  quad = quads()
  h = np.asarray(warps.homography(jnp.asarray(quad)))
  whole = np.concatenate([SQUARE, np.ones((4, 1))], 1)
  at = np.einsum("bij,kj->bki", h, whole)
  np.testing.assert_allclose(at[..., :2] / at[..., 2:], quad, atol=1e-5)


def test_pictures_are_opencvs():
  side = 17
  image = RNG.random((1, side, side, 3)).astype(np.float32)
  quad = quads(1, 0.1)
  places = warps.seen(warps.homography(jnp.asarray(quad)), (side, side))
  maps = np.asarray(places)[0].astype(np.float32)
  found = np.asarray(warps.bilinear(jnp.asarray(image), places, fill=0.5))[0]
  wanted = cv2.remap(
    image[0],
    maps[..., 1],
    maps[..., 0],
    cv2.INTER_LINEAR,
    borderValue=(0.5,) * 3,
  )
  # OpenCV's places are multiples of 1/32 of a pixel.
  np.testing.assert_allclose(found, wanted, atol=0.05)
  assert np.abs(found - wanted).mean() < 0.01


def test_nothing_moved_is_the_picture_itself():
  image = RNG.random((2, 5, 7, 1)).astype(np.float32)
  maps = RNG.integers(0, 4, (2, 5, 7))
  h = warps.homography(jnp.broadcast_to(SQUARE, (2, 4, 2)))
  places = warps.seen(h, (5, 7))
  np.testing.assert_allclose(
    warps.bilinear(jnp.asarray(image), places), image, atol=1e-5
  )
  np.testing.assert_array_equal(
    warps.nearest(jnp.asarray(maps), places, fill=9), maps
  )


def test_what_is_outside_has_the_value_that_is_given():
  maps = jnp.ones((1, 4, 4), int)
  places = jnp.array([[[[-0.6, 0.0], [0.0, 3.6], [-0.4, 3.4]]]])
  np.testing.assert_array_equal(warps.nearest(maps, places, 7), [[[7, 7, 1]]])
  found = warps.bilinear(jnp.ones((1, 4, 4, 1)), places, fill=3.0)[..., 0]
  np.testing.assert_allclose(
    found, [[[2.2, 2.2, 1 + 2 * (1 - 0.36)]]], atol=1e-5
  )
