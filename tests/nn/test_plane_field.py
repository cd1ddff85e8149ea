import jax
import jax.numpy as jnp
import numpy as np

from jmim.nn import plane_field

B, R, C = 2, 5, 3
rng = np.random.default_rng(0)
PLANES = rng.normal(size=(B, 3, R, R, C)).astype("f4")
LINES = rng.normal(size=(B, 3, R, 1, C)).astype("f4")
CENTRES = (2 * np.arange(R) + 1) / R - 1


def test_at_centres_of_cells_the_values_are_those_of_the_cells():
  """Columns and rows: (x, y), (z, x), (y, z); lines: z, y, x."""
  at = np.stack(np.meshgrid(*[range(R)] * 3, indexing="ij"), -1).reshape(-1, 3)
  points = np.tile(CENTRES[at], (B, 1, 1)).astype("f4")
  found = np.asarray(plane_field.values(PLANES, LINES, points))
  x, y, z = at.T
  for b in range(B):
    want = [
      PLANES[b, 0, y, x] * LINES[b, 0, z, 0],
      PLANES[b, 1, x, z] * LINES[b, 1, y, 0],
      PLANES[b, 2, z, y] * LINES[b, 2, x, 0],
    ]
    np.testing.assert_allclose(found[b], want, atol=1e-4)


def test_outside_of_the_box_is_nothing():
  points = np.array([[[1.3, 0, 0], [0, -1.3, 0], [0, 0, 2.0]]] * B, "f4")
  assert not np.asarray(plane_field.values(PLANES, LINES, points)).any()


def test_half_way_between_cells_is_the_mean_of_both():
  low, high = CENTRES[1], CENTRES[2]
  at = lambda x: np.array([[[x, CENTRES[3], CENTRES[0]]]] * B, "f4")
  value = lambda x: np.asarray(plane_field.values(PLANES, LINES, at(x)))
  first, middle, last = value(low), value((low + high) / 2), value(high)
  np.testing.assert_allclose(middle[:, 0], (first + last)[:, 0] / 2, atol=1e-5)


def test_gradients_reach_the_grids_and_not_the_points():
  points = jnp.asarray(rng.uniform(-0.9, 0.9, (B, 4, 3)), jnp.float32)
  total = lambda *a: (plane_field.values(*a) ** 2).sum()
  planes, lines, places = jax.grad(total, (0, 1, 2))(PLANES, LINES, points)
  assert np.abs(planes).sum() > 0 and np.abs(lines).sum() > 0
  assert not np.asarray(places).any()


def test_a_box_becomes_the_cube():
  low, high = (-1.0, 0.0, 2.0), (1.0, 0.5, 6.0)
  found = plane_field.within(np.array([low, high, (0.0, 0.25, 4.0)]), low, high)
  np.testing.assert_allclose(found, [[-1] * 3, [1] * 3, [0] * 3], atol=1e-6)
