"""Clouds of points on the device."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import errors
from jmim.core import randomness
from jmim.data import augment
from jmim.data import clouds
from jmim.data import specs


def points(b=3, n=40, seed=0):
  rng = np.random.default_rng(seed)
  return jnp.asarray(rng.normal(size=(b, n, 3)).astype(np.float32) + 1)


def keys(seed=0):
  return randomness.Keys(jax.random.key(seed))


def test_a_subset_is_drawn_without_repeating_and_differs():
  x = points()
  spec = specs.Spec(points=7)
  drawn = np.asarray(clouds.augmented(spec, keys(), x))
  at = [
    [int(np.flatnonzero((cloud == p).all(1)).item()) for p in few]
    for few, cloud in zip(drawn, np.asarray(x), strict=True)
  ]
  assert all(len(set(one)) == 7 for one in at)
  assert at[0] != at[1]
  np.testing.assert_array_equal(clouds.prepared(spec, x), x[:, :7])


def test_unit_clouds_and_statistics_of_the_data_set():
  x = points()
  unit = np.asarray(clouds.prepared(specs.Spec(points_unit=True), x))
  np.testing.assert_allclose(unit.mean(1), 0, atol=1e-6)
  norms = np.linalg.norm(unit, axis=-1)
  np.testing.assert_allclose(norms.max(1), 1, rtol=1e-6)
  spec = specs.Spec(points_mean=(1.0, 2.0, 3.0), points_std=(2.0, 4.0, 8.0))
  wanted = (np.asarray(x) - [1, 2, 3]) / [2, 4, 8]
  np.testing.assert_allclose(clouds.prepared(spec, x), wanted, rtol=1e-5)


@pytest.mark.parametrize("axis", "xyz")
def test_turns_keep_an_axis_and_all_distances(axis):
  x = points()
  spec = specs.Spec(points_turn=axis)
  y = np.asarray(clouds.augmented(spec, keys(), x))
  kept = "xyz".index(axis)
  np.testing.assert_array_equal(y[..., kept], x[..., kept])
  norm = lambda a: np.linalg.norm(a, axis=-1)
  np.testing.assert_allclose(norm(y), norm(x), rtol=1e-5)
  assert np.abs(y - x).max(axis=(1, 2)).min() > 0.05  # each cloud moves


def test_a_quarter_turn_about_z_takes_x_to_y():
  x = jnp.asarray([[[1.0, 0.0, 5.0]]])
  y = clouds.turned(x, jnp.asarray([np.pi / 2]), 2)
  np.testing.assert_allclose(y[0, 0], (0, 1, 5), atol=1e-6)


def test_scale_and_shift_are_one_per_cloud_and_axis():
  x = points(b=200)
  spec = specs.Spec(points_scale=(0.5, 2.0), points_shift=0.3)
  y = np.asarray(clouds.augmented(spec, keys(), x))
  x = np.asarray(x)
  a, b = x[:, 0] - x[:, 1], y[:, 0] - y[:, 1]
  scale = b / a
  wanted = (x - x[:, :1]) * scale[:, None] + y[:, :1]
  np.testing.assert_allclose(y, wanted, atol=1e-3)
  assert 0.49 < scale.min() < 0.6 and 1.8 < scale.max() < 2.01
  shift = y[:, 0] - scale * x[:, 0]
  assert -0.31 < shift.min() < -0.25 and 0.25 < shift.max() < 0.31


def test_batches_pass_through_the_augmentation_and_groups_too():
  x = points(b=2)
  spec = specs.Spec(points=8, points_turn="z")
  batch = augment.augment_batch(spec, jax.random.key(1), {"points": x})
  assert batch["points"].shape == (2, 8, 3)
  assert augment.prepare_batch(spec, {"points": x})["points"].shape == (2, 8, 3)
  several = specs.Spec(points=8, group="label", members=2)
  made = augment.augment_batch(several, jax.random.key(1), {"points": x[None]})
  assert made["points"].shape == (1, 2, 8, 3)


@pytest.mark.parametrize(
  ("changes", "shape", "key"),
  [
    (dict(points=50), (2, 40, 3), "data.points"),
    (dict(), (2, 40, 6), "data.name"),
  ],
)
def test_clouds_that_do_not_fit_are_named(changes, shape, key):
  spec = specs.Spec(**changes)
  for made in (
    lambda x: clouds.prepared(spec, x),
    lambda x: clouds.augmented(spec, keys(), x),
  ):
    with pytest.raises(errors.UserError) as caught:
      made(jnp.zeros(shape))
    assert caught.value.key == key


@pytest.mark.parametrize(
  ("name", "value"),
  [
    ("points_mean", (0.0,)),
    ("points_std", (1.0, 0.0, 1.0)),
    ("points_scale", (1.5, 0.5)),
    ("points_scale", (1.0,)),
  ],
)
def test_values_that_are_no_statistics_are_named(name, value):
  with pytest.raises(errors.UserError, match=name):
    specs.Spec(**{name: value}).check_augmentation()


def test_units_of_the_data_set_come_back():
  spec = specs.Spec(points_mean=(1.0, -2.0, 0.5), points_std=(2.0, 1.0, 0.25))
  x = points()
  back = clouds.denormalised(spec, clouds.prepared(spec, x))
  np.testing.assert_allclose(back, x, atol=1e-6)
