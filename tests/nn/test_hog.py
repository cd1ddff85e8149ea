import numpy as np
import pytest
import skimage.feature

from jmim.nn import hog


def theirs(image, cell, bins):
  return skimage.feature.hog(
    image.astype(np.float64),
    orientations=bins,
    pixels_per_cell=(cell, cell),
    cells_per_block=(1, 1),
    visualize=True,
    channel_axis=-1,
  )[1]


@pytest.mark.parametrize(
  "shape, cell, bins",
  [((32, 32, 3), 16, 9), ((26, 17, 3), 8, 9), ((12, 16, 1), 4, 6)],
)
def test_the_picture_is_that_of_scikit_image(shape, cell, bins):
  """With sides that no cell divides, and of 8-bit images."""
  rng = np.random.default_rng(cell)
  images = rng.integers(0, 256, (2, *shape)).astype(np.float32) / 255
  drawn = np.asarray(hog.drawn(images, cell, bins))[..., 0]
  expected = np.stack([theirs(x, cell, bins) for x in images])
  assert expected.max() > 0.01
  np.testing.assert_allclose(drawn, expected, atol=1e-5)


def test_pictures_begin_at_0_and_end_at_1_whatever_the_light():
  images = np.random.default_rng(0).random((2, 8, 8, 3)).astype(np.float32)
  images[1] = 0.25  # nothing to be drawn
  made = np.asarray(hog.picture(images, 4))
  assert (made[0].min(), made[0].max()) == (0, 1) and not made[1].any()
  dark = np.asarray(hog.picture(0.3 * images, 4))
  np.testing.assert_allclose(dark, made, atol=1e-5)


def test_an_edge_is_drawn_along_itself():
  """Light changes from left to right: the stroke stands upright."""
  images = np.tile(np.linspace(0, 1, 16, dtype=np.float32), (1, 16, 1))
  made = np.asarray(hog.picture(images[..., None], 16))[0, ..., 0]
  rows, columns = np.nonzero(made == 1)
  assert np.ptp(rows) > 10 and np.ptp(columns) < 4
