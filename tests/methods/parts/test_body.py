import jax.numpy as jnp
import numpy as np
import pytest

from jmim.methods.parts import body


def test_points_are_around_the_midpoint_of_the_hips_in_millimetres():
  part = body.Body(joints=5, hips=(1, 4))
  vector = np.random.default_rng(0).normal(size=(2, 3, 15))
  found = np.asarray(part.points(jnp.asarray(vector)))
  joints = vector.reshape(2, 3, 3, 5).swapaxes(-1, -2)
  pelvis = (joints[..., [1], :] + joints[..., [4], :]) / 2
  assert found.shape == (2, 3, 6, 3) and (found[..., 0, :] == 0).all()
  expected = 1000 * (joints - pelvis)
  np.testing.assert_allclose(found[..., 1:, :], expected, rtol=1e-4, atol=1e-2)
  np.testing.assert_allclose(found[..., 2, :], -found[..., 5, :], atol=1e-2)


def test_numbers_of_maps_are_those_of_joints():
  part = body.Body(joints=3, hips=(0,), order=(2, -1, 0))
  values = jnp.asarray([[10.0, 11.0, 12.0, 13.0]])
  assert part.of_joints(values).tolist() == [[-1, 12, -1, 10]]
  pairs = jnp.stack([values, 2 * values], -1)
  assert part.of_joints(pairs)[0].tolist() == [
    [-1, -1],
    [12, 24],
    [-1, -1],
    [10, 20],
  ]
  same = body.Body(joints=4)
  assert same.of_joints(values).tolist() == [[-1, 10, 11, 12, 13]]


@pytest.mark.parametrize(
  "fields, maps, words",
  [
    ({"hips": (0, 16)}, 16, "body.hips.*joints are 0 to 15"),
    ({"hips": ()}, 16, "body.hips"),
    ({}, 17, "heatmaps.joints 17.*body.order"),
    ({"order": (0, 1)}, 16, "order has 2 entries: body.joints 16"),
    ({"joints": 2, "hips": (0,), "order": (0, 3)}, 3, "are 0 to 2"),
  ],
)
def test_fields_that_do_not_go_together(fields, maps, words):
  with pytest.raises(ValueError, match=words):
    body.Body(**fields).check("body.", maps)


def test_fields_that_do():
  body.Body().check("body.", 16)
  body.Body(joints=2, hips=(0,), order=(2, -1)).check("body.", 3)
