import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.nn import heatmaps


def maps(seed=0, b=2, j=3, side=8):
  rng = np.random.default_rng(seed)
  return rng.normal(size=(b, j, side, side)).astype(np.float32)


def test_a_map_is_the_sum_of_its_gaussians():
  modes = np.array([[[[2.0, 5.0, 1.0], [6.5, 1.0, 0.7]], [[0, 0, 0]] * 2]])
  found = heatmaps.gaussians(jnp.asarray(modes), 8, 1.2)
  y, x = np.mgrid[:8, :8]
  wave = lambda a, b: np.exp(-((x - a) ** 2 + (y - b) ** 2) / 2 / 1.2**2)
  expected = wave(2.0, 5.0) + 0.7 * wave(6.5, 1.0)
  np.testing.assert_allclose(found[0, 0], expected, atol=1e-6)
  assert (found[0, 1] == 0).all()
  # Cell y side + x.
  assert heatmaps.best(found)[0, 0] == 5 * 8 + 2


def test_candidates_are_drawn_as_the_positive_part_says():
  """Chi-square, 1e5 draws; none where the map is not positive."""
  heat, n = maps(b=1, j=2), 100_000
  u = jax.random.uniform(jax.random.key(1), (1, 2, n))
  cells = np.asarray(heatmaps.pick(jnp.asarray(heat), u))
  for joint in range(2):
    p = np.maximum(np.float64(heat[0, joint]).ravel(), 0)
    p, count = p / p.sum(), np.bincount(cells[0, joint], minlength=64)
    assert count[p == 0].sum() == 0
    some = p > 0
    chi = ((count - n * p)[some] ** 2 / (n * p[some])).sum()
    degrees = some.sum() - 1
    assert abs(chi - degrees) < 4 * np.sqrt(2 * degrees)


def test_cells_follow_the_cumulated_map():
  heat = np.array([0.0, 2.0, -3.0, 1.0, 0.0, 1.0]).reshape(1, 1, 2, 3)
  least = np.finfo(np.float32).eps
  u = jnp.asarray([[[0.0, 0.49, 0.5, 0.74, 0.75, 1 - least, 1.0]]])
  cells = heatmaps.pick(jnp.asarray(heat, jnp.float32), u)
  assert cells.ravel().tolist() == [1, 1, 3, 3, 5, 5, 5]


def test_of_a_peak_every_candidate_is_the_peak():
  heat = np.zeros((1, 2, 4, 4), np.float32)
  heat[0, 0, 3, 1] = 0.3
  heat[0, 1] = -1.0
  heat[0, 1, 2, 2] = -0.5  # without a positive cell: the best
  u = jax.random.uniform(jax.random.key(0), (1, 2, 50))
  cells = heatmaps.pick(jnp.asarray(heat), u)
  assert (cells[0, 0] == 13).all() and (cells[0, 1] == 10).all()
  np.testing.assert_allclose(
    heatmaps.values(jnp.asarray(heat), cells)[0, :, 0], [0.3, -0.5]
  )


def test_places_are_in_a_square_around_0():
  cells = jnp.asarray([0, 7, 8 * 7, 8 * 4 + 4])
  found = heatmaps.places(cells, 8)
  np.testing.assert_allclose(found, [[-1, -1], [0.75, -1], [-1, 0.75], [0, 0]])
  np.testing.assert_allclose(heatmaps.pixels(cells, 8)[2], [0, 7])


@pytest.mark.parametrize("channels", [16, 64])
def test_about_four_channels_see_a_number_and_their_sum_is_about_2(channels):
  inside = np.linspace(-0.7, 0.7, 501)
  code = np.asarray(heatmaps.channel_code(jnp.asarray(inside), channels))
  centres = np.linspace(-1, 1, channels)
  phase = 0.25 * np.pi * channels / 2 * (inside[:, None] - centres)
  expected = np.where(np.abs(phase) <= np.pi / 2, np.cos(phase) ** 2, 0)
  np.testing.assert_allclose(code, expected, atol=1e-5)
  wide = 4 * (channels - 1) / channels  # centres are a little further apart
  assert set((code > 1e-6).sum(-1)) <= {3, 4}
  np.testing.assert_allclose(code.sum(-1).mean(), wide / 2, rtol=0.02)
  if channels == 64:
    np.testing.assert_allclose(code.sum(-1), 2, rtol=0.05)


def test_spread_is_the_deviation_above_the_floor():
  modes = np.zeros((1, 4, 2, 3), np.float32)
  modes[0, :3, 0] = 10, 12, 1
  modes[0, 1, 1] = 16, 12, 0.8  # nearly as high, six pixels away
  heat = np.array(heatmaps.gaussians(jnp.asarray(modes), 32, 1.2))
  heat[0, 2] += 0.05  # a floor everywhere is no width
  heat[0, 3] = -1.0
  found = np.asarray(heatmaps.spread(jnp.asarray(heat)))[0]
  for joint in range(3):
    one = heat[0, joint]
    mass = np.where(one > 0.1 * one.max(), one, 0)
    y, x = np.mgrid[:32, :32]
    mean = lambda of, mass=mass: (mass * of).sum() / mass.sum()
    variance = (mean(x**2) - mean(x) ** 2 + mean(y**2) - mean(y) ** 2) / 2
    np.testing.assert_allclose(found[joint], np.sqrt(variance), rtol=1e-3)
  assert 0.9 < found[0] < found[2] < 1.2 < 2 < found[1] and found[3] == 0
