import cv2
import numpy as np
import pytest
import skimage.morphology
import sklearn.metrics

from jmim.metrics import dense


def maps(seed=0, classes=6):
  rng = np.random.default_rng(seed)
  truth = rng.integers(0, classes - 1, (3, 9, 11))  # the last is never true
  guess = np.where(
    rng.random(truth.shape) < 0.6, truth, rng.integers(0, classes, truth.shape)
  )
  return truth, guess


def test_iou_and_accuracy_equal_scikit_learn():
  truth, guess = maps()
  counts = dense.confusion(truth, guess, 7)  # class 6 is nowhere
  np.testing.assert_array_equal(
    counts,
    sklearn.metrics.confusion_matrix(
      truth.ravel(), guess.ravel(), labels=range(7)
    ),
  )
  want = sklearn.metrics.jaccard_score(
    truth.ravel(), guess.ravel(), average="macro"
  )
  np.testing.assert_allclose(dense.mean_iou(counts), 100 * want, rtol=1e-12)
  want = sklearn.metrics.accuracy_score(truth.ravel(), guess.ravel())
  np.testing.assert_allclose(dense.pixel_accuracy(counts), 100 * want)


def test_ignored_pixels_do_not_count():
  truth, guess = maps()
  marked = np.where(truth == 2, dense.IGNORE, truth)
  keep = truth != 2
  np.testing.assert_array_equal(
    dense.confusion(marked, guess, 6),
    dense.confusion(truth[keep], guess[keep], 6),
  )


def test_region_by_hand():
  a, b = np.zeros((2, 4, 4), bool)
  assert dense.region(a, b) == 1.0
  a[:2], b[1:3] = True, True
  assert dense.region(a, b) == pytest.approx(4 / 12)


def test_boundary_is_one_within_the_tolerance_and_falls_beyond():
  side = 200  # tolerance: ceil(0.008 * 283) = 3 pixels
  a = np.zeros((side, side), bool)
  a[60:120, 50:140] = True
  assert dense.boundary(a, a) == 1.0
  assert dense.boundary(a, np.roll(a, 3, 0)) == 1.0
  beyond = dense.boundary(a, np.roll(a, 8, 0))
  assert 0.2 < beyond < 0.95
  assert dense.boundary(a, np.zeros_like(a)) == 0.0
  assert dense.boundary(np.zeros_like(a), np.zeros_like(a)) == 1.0


def test_boundary_equals_its_definition_with_another_library():
  rng = np.random.default_rng(0)
  for _ in range(4):
    a, b = (
      cv2.GaussianBlur(rng.random((90, 120)), (0, 0), 6) > 0.5 for _ in "ab"
    )
    reach = int(np.ceil(0.008 * np.hypot(90, 120)))
    disk = skimage.morphology.disk(reach)

    def edge(m):
      found = np.zeros_like(m)
      h, w = m.shape
      for y in range(h):
        for x in range(w):
          y1, x1 = min(y + 1, h - 1), min(x + 1, w - 1)
          others = (m[y, x1], m[y1, x], m[y1, x1])
          found[y, x] = any(o != m[y, x] for o in others)
      return found

    ea, eb = edge(a), edge(b)
    p = (eb & skimage.morphology.dilation(ea, disk)).sum() / eb.sum()
    r = (ea & skimage.morphology.dilation(eb, disk)).sum() / ea.sum()
    np.testing.assert_allclose(dense.boundary(a, b), 2 * p * r / (p + r))


def test_masks_by_class_equal_scikit_learn_over_all_pixels_of_a_class():
  rng = np.random.default_rng(1)
  truth, guess = rng.random((2, 6, 5, 5)) < 0.4
  classes = np.array([2, 0, 2, 2, 0, 5])
  found = dense.by_class(truth, guess, classes)
  score = sklearn.metrics.jaccard_score
  for c, value in found["each"].items():
    own = classes == c
    assert value == pytest.approx(
      100 * score(truth[own].ravel(), guess[own].ravel())
    )
  assert found["miou"] == pytest.approx(np.mean([*found["each"].values()]))
  both = [score(t.ravel(), g.ravel()) for t, g in ((truth, guess),)]
  both += [score(~truth.ravel(), ~guess.ravel())]
  assert found["fb_iou"] == pytest.approx(50 * sum(both))


def test_a_class_that_nobody_sees_does_not_count():
  empty, full = np.zeros((1, 2, 2), bool), np.ones((1, 2, 2), bool)
  truth, guess = np.concatenate([empty, full]), np.concatenate([empty, full])
  found = dense.by_class(truth, guess, np.array([0, 1]))
  assert found["each"] == {1: 100.0} and found["miou"] == 100.0
