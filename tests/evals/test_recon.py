import numpy as np

from jmim.evals import recon


def case(seed=0, side=12):
  rng = np.random.default_rng(seed)
  image = rng.random((side, side, 3), dtype=np.float32)
  return image, rng.random((side, side)) < 0.75


def test_nearest_fill_comes_from_a_nearest_visible_pixel():
  image, hidden = case()
  filled = recon.nearest_visible(image, hidden)
  np.testing.assert_array_equal(filled[~hidden], image[~hidden])
  seen = np.argwhere(~hidden)
  for y, x in np.argwhere(hidden):
    distance = ((seen - (y, x)) ** 2).sum(1)
    # OpenCV's 5 x 5 distance is off by at most 2 %.
    near = seen[np.sqrt(distance) <= 1.05 * np.sqrt(distance.min()) + 1e-6]
    colours = image[near[:, 0], near[:, 1]]
    assert (colours == filled[y, x]).all(1).any()


def test_mean_fill():
  image, hidden = case(1)
  filled = recon.mean_visible(image, hidden)
  np.testing.assert_allclose(
    filled[hidden], image[~hidden].mean(0)[None] + 0 * filled[hidden], rtol=1e-5
  )
  np.testing.assert_array_equal(filled[~hidden], image[~hidden])


def test_error_counts_hidden_pixels_only():
  image, hidden = case(2)
  other = np.where(hidden[..., None], image + 0.5, image + 9)
  error = recon.hidden_error(other.astype(np.float32), image, hidden)
  np.testing.assert_allclose(error, (0.25, 0.5), rtol=1e-5)


def test_sheet_shows_each_image_where_its_title_says():
  n, side, scale = 4, 3, 2
  columns = {
    name: np.full((n, side, side, 3), value, np.uint8)
    for name, value in (("original", 10), ("masked", 120))
  }
  columns["original"][3] = (201, 17, 33)
  picture = recon.sheet(columns, pairs=2, scale=scale)
  cell = side * scale
  tiles = (picture == (201, 17, 33)).all(-1)
  assert tiles.sum() == cell**2  # the fourth example, once, in one column
  assert (picture == 120).all(-1).sum() == n * cell**2


def test_grey_images_are_drawn_too():
  columns = {"original": np.full((2, 3, 3, 1), 77, np.uint8)}
  assert (recon.sheet(columns, scale=1) == 77).all(-1).sum() == 2 * 9
