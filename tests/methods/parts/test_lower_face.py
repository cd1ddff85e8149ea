"""Holes and crops of faces."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import field
from jmim.methods.parts import lower_face

SIDE = 24
IMAGES = jnp.asarray(
  np.random.default_rng(0).normal(size=(2, SIDE, SIDE, 3)), jnp.float32
)


def landmarks():
  """[2, 68, 2]: a square jaw, and the same 3 pixels to the right."""
  points = np.zeros((2, 68, 2), np.float32)
  points[:, 6] = (6.5, 17.5)
  points[:, 10] = (14.5, 17.5)
  points[:, 8] = (10.5, 19.5)
  points[:, 21] = (9.0, 6.5)
  points[:, 30] = (10.0, 11.5)
  points[1, :, 0] += 3
  return jnp.asarray(points)


def face(**changes):
  return field.replace(lower_face.LowerFace(), chin=2.0, grow=0, **changes)


def test_the_hole_is_the_polygon_below_the_nose():
  keep = np.asarray(face().keep(IMAGES, landmarks()))[..., 0]
  want = np.ones((SIDE, SIDE))
  want[12:18, 7:15] = 0
  np.testing.assert_array_equal(keep[0, :18], want[:18])
  # Below point 6 it narrows to the chin and 2 pixels further.
  below = 1 - keep[0, 18:22]
  assert (np.diff(below.sum(1)) < 0).all() and below[:3, 10].all()
  np.testing.assert_array_equal(keep[1, :, 3:], keep[0, :, :-3])


def test_it_grows_by_a_square():
  small = 1 - np.asarray(face().keep(IMAGES, landmarks()))[0, ..., 0]
  wide = field.replace(face(), grow=2)
  hole = 1 - np.asarray(wide.keep(IMAGES, landmarks()))[0, ..., 0]
  rows, columns = np.nonzero(small)
  want = np.zeros((SIDE, SIDE))
  for y, x in zip(rows, columns, strict=True):
    want[max(y - 2, 0) : y + 3, max(x - 2, 0) : x + 3] = 1
  np.testing.assert_array_equal(hole, want)


def test_the_crop_goes_from_the_brows_to_the_chin():
  boxes = np.asarray(face().boxes(IMAGES, landmarks()))
  assert boxes[0].tolist() == [7, 7, 22, 15]
  assert boxes[1].tolist() == [7, 10, 22, 18]
  # It is stretched to the side: of a ramp it is a ramp again.
  ramp = jnp.broadcast_to(
    jnp.arange(SIDE, dtype=jnp.float32)[:, None, None], IMAGES.shape
  )
  crop = np.asarray(jax.jit(face().crops)(ramp, landmarks()))[0, :, 5, 0]
  want = 7 + (np.arange(SIDE) + 0.5) * 15 / SIDE - 0.5
  np.testing.assert_allclose(crop, want, atol=1e-4)


def test_boxes_are_shares_of_the_side():
  fixed = face(kind="boxes", hole=(0.5, 0.25, 1.0, 0.75))
  keep = np.asarray(fixed.keep(IMAGES, None))[..., 0]
  want = np.ones((SIDE, SIDE))
  want[12:, 6:18] = 0
  np.testing.assert_array_equal(keep, [want, want])
  whole = field.replace(fixed, crop=(0.0, 0.0, 1.0, 1.0))
  np.testing.assert_allclose(whole.crops(IMAGES, None), IMAGES, atol=1e-5)
  assert fixed.inputs((2,)) == {}
  assert face().inputs((2,))["landmarks"].shape == (2, 68, 2)


def test_of_none_all_is_hole_and_the_crop_is_the_picture():
  none = face(kind="none")
  assert not np.asarray(none.keep(IMAGES, None)).any()
  np.testing.assert_array_equal(none.crops(IMAGES, None), IMAGES)


def test_a_crop_may_be_moved():
  whole = face(kind="none")
  at = jnp.arange(SIDE, dtype=jnp.float32)
  own = jnp.stack(jnp.meshgrid(at, at, indexing="ij"), -1)
  mirrored = own.at[..., 1].set(SIDE - 1 - own[..., 1])
  moved = jnp.broadcast_to(mirrored, (2, *mirrored.shape))
  found = whole.crops(IMAGES, None, moved)
  np.testing.assert_allclose(found, IMAGES[:, :, ::-1], atol=1e-5)


@pytest.mark.parametrize("box", [(0, 0, 1), (0.5, 0, 0.4, 1), (0, 0, 1, 1.5)])
def test_boxes_that_are_none(box):
  with pytest.raises(ValueError, match="face.hole"):
    face(kind="boxes", hole=box).inputs(())
