import numpy as np

from jmim.data.procedural import drawing


def test_levels_are_rounded_and_cut():
  found = drawing.levels(np.array([-3.0, 0.4, 0.6, 254.7, 300.0]))
  assert found.dtype == np.uint8
  np.testing.assert_array_equal(found, [0, 0, 1, 255, 255])


def test_means_are_of_the_area_of_each_pixel():
  fine = np.arange(4 * 6 * 2.0).reshape(4, 6, 2)
  found = drawing.means(fine, 2)
  for i, j in np.ndindex(2, 3):
    part = fine[2 * i : 2 * i + 2, 2 * j : 2 * j + 2]
    np.testing.assert_allclose(found[i, j], part.mean((0, 1)))
  flat = drawing.means(fine[..., 1], 2)
  np.testing.assert_array_equal(flat, found[..., 1])


def test_a_gradient_goes_from_one_colour_to_the_other():
  ends = ((10.0, 20.0), (50.0, 0.0))
  y, x = np.linspace(0, 1, 5)[:, None], np.linspace(0, 1, 5)[None]
  across = drawing.gradient(ends, 0.0, y, x)
  np.testing.assert_allclose(across[:, 0], np.tile(ends[0], (5, 1)))
  np.testing.assert_allclose(across[:, 4], np.tile(ends[1], (5, 1)))
  np.testing.assert_allclose(across[3, 2], [30, 10])
  oblique = drawing.gradient(ends, np.pi / 4, y, x)
  np.testing.assert_allclose(oblique[0, 0], ends[0])
  np.testing.assert_allclose(oblique[4, 4], ends[1])
  np.testing.assert_allclose(oblique[4, 0], oblique[0, 4])
