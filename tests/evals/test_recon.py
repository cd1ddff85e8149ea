import types

import evalkit
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


def test_the_errors_of_a_prediction_and_of_both_fillings():
  context = evalkit.context(batch=8, n=(8, 21))
  values = dict(recon.Evaluator(examples=3, batches=2).run(context))
  images = np.concatenate(
    [
      x
      for _, x in (
        context.rows("pixels", "eval", 16, weights="raw", entry="image"),
      )
    ]
  )
  hidden = np.zeros((4, 4), bool)
  hidden[1::2] = True
  truth = images[:, hidden].astype(np.float64) / 255
  pred = np.round(truth * 255 / 2) / 255
  np.testing.assert_allclose(
    values["mse"], ((pred - truth) ** 2).mean(), rtol=0.01
  )
  np.testing.assert_allclose(values["l1"], abs(pred - truth).mean(), rtol=0.01)
  mean = images[:, ~hidden].astype(np.float64).mean(1, keepdims=True) / 255
  np.testing.assert_allclose(
    values["mse_colour"], ((mean - truth) ** 2).mean(), rtol=1e-4
  )
  assert {"l1_colour", "mse_nearest", "l1_nearest"} < set(values)


def test_the_sheet_shows_the_prediction_where_a_pixel_was_hidden():
  truth = np.full((1, 2, 2, 3), 200, np.uint8)
  pred = np.full((1, 2, 2, 3), 7, np.uint8)
  hidden = np.array([[[True, False], [False, False]]])
  picture = recon.Evaluator()._sheet(truth, pred, hidden)
  shown = (picture == 7).all(-1).sum()
  grey = (picture == recon.GREY).all(-1).sum()
  # One pixel of two by two, 128 pixels wide, and a little of the titles.
  assert 64**2 <= shown < 1.02 * 64**2 and 64**2 <= grey < 1.02 * 64**2


def test_a_target_stands_for_the_image():
  """What is predicted may be another picture than that of the batch."""
  mask = np.zeros((2, 4, 4, 1), np.float32)
  mask[:, :2] = 1.0
  full = lambda value: np.full((2, 4, 4, 3), value, np.float32)
  out = {"image": full(0.75), "target": full(0.5), "mask": mask}
  context = evalkit.stub([(out, {"image": np.zeros((2, 4, 4, 3), np.uint8)})])
  context.spec = types.SimpleNamespace(batch=2)
  context.pixels = lambda x: (255 * x).round().astype(np.uint8)
  values = dict(recon.Evaluator().run(context))
  np.testing.assert_allclose(values["l1"], 0.25, atol=0.01)
  assert values["l1_colour"] < 1e-6
