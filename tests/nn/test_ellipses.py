"""Ellipses on grids, against things that lie in them."""

import jax.numpy as jnp
import numpy as np
import pytest

from jmim.data.procedural import described
from jmim.nn import ellipses

RNG = np.random.default_rng(0)
ONE = np.array([0.5, 0.25, 0.3, 0.1, 0.0], np.float32)


def things(n=10):
  return [
    t for i in range(n) for t in described.draw_blobs(np.random.default_rng(i))
  ]


def test_an_ellipse_holds_its_thing_and_touches_it():
  """The convention of angles and axes is that of the data."""
  for thing in things():
    far = np.asarray(ellipses.distances(thing.ellipse, 256))
    mine = far[described.mask(thing, 256)]
    assert 0.86 < mine.max() <= 1 + 1e-4, described.KINDS[thing.kind]


def test_distances_are_those_of_the_formula():
  x, y, a, b, angle = e = np.array([0.4, 0.6, 0.3, 0.1, 0.7], np.float32)
  turn = np.array(
    [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
  )
  form = turn @ np.diag([1 / a**2, 1 / b**2]) @ turn.T
  rows, columns = (np.mgrid[:9, :9] + 0.5) / 9
  p = np.stack([columns - x, rows - y], -1)
  wanted = np.einsum("hwi,ij,hwj->hw", p, form, p)
  found = ellipses.distances(jnp.asarray(e), 9)
  np.testing.assert_allclose(found, wanted, rtol=1e-4)


def test_half_a_turn_changes_nothing():
  turned = ONE + np.array([0, 0, 0, 0, np.pi], np.float32)
  both = jnp.stack([ONE, turned])
  far = ellipses.distances(both, 16)
  np.testing.assert_allclose(far[0], far[1], rtol=1e-4)
  numbers = ellipses.numbers(both)
  np.testing.assert_allclose(numbers[0], numbers[1], atol=1e-6)
  other = ellipses.numbers(jnp.asarray(ONE).at[4].set(np.pi / 2))
  assert np.abs(other - numbers[0]).max() > 1


def test_what_is_not_there_holds_nothing():
  none = jnp.zeros((2, 5)).at[1].set(ONE)
  held = ellipses.inside(none, 8)
  assert not held[0].any() and held[1].any()
  np.testing.assert_array_equal(ellipses.there(none), [False, True])


def test_a_coarser_mask_holds_the_finer_one_and_no_other_cell():
  masks = jnp.asarray(RNG.random((3, 8, 8)) > 0.9)
  found = np.asarray(ellipses.coarser(masks, 4))
  for k in range(3):
    for i in range(2):
      for j in range(2):
        part = masks[k, 4 * i : 4 * i + 4, 4 * j : 4 * j + 4]
        assert found[k, i, j] == bool(part.any())
  np.testing.assert_array_equal(ellipses.coarser(masks, 1), masks)


@pytest.mark.parametrize("angle", [0.0, 0.4, 1.5, -1.0])
def test_the_box_around_an_ellipse(angle):
  e = jnp.asarray(ONE).at[:2].set(0.5).at[4].set(angle)
  rows, columns = np.nonzero(np.asarray(ellipses.inside(e, 512)))
  half = [np.ptp(columns) / 1024, np.ptp(rows) / 1024]
  np.testing.assert_allclose(ellipses.extent(e), half, atol=0.004)


def test_one_is_moved_and_the_others_stay():
  both = jnp.asarray(RNG.random((2, 3, 5)), jnp.float32)
  by = jnp.array([[0.1, -0.2], [0.0, 0.3]])
  found = ellipses.moved(both, jnp.array([2, 0]), by)
  change = np.array(found - both)
  np.testing.assert_allclose(change[0, 2, :2], by[0], atol=1e-6)
  np.testing.assert_allclose(change[1, 0, :2], by[1], atol=1e-6)
  change[0, 2], change[1, 0] = 0, 0
  assert not change.any()


def test_waves_are_sines_and_cosines_of_growing_frequency():
  x = RNG.random((2, 3))
  found = np.asarray(ellipses.waves(jnp.asarray(x), 4)).reshape(2, 4, 2, 3)
  for i in range(4):
    w = 100 ** (i / 4)
    np.testing.assert_allclose(found[:, i, 0], np.sin(w * x), atol=1e-5)
    np.testing.assert_allclose(found[:, i, 1], np.cos(w * x), atol=1e-5)
