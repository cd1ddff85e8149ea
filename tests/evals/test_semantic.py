import evalkit
import numpy as np
import pytest

from jmim.core import errors
from jmim.evals import semantic


def maps():
  """Of three classes; a pixel that does not count."""
  truth = np.zeros((3, 4, 4), int)
  truth[0, :2], truth[1, 2:] = 1, 2
  guess = truth.copy()
  guess[0, 1], guess[2, 0, 0] = 0, 2
  truth[2, 3, 3], guess[2, 3, 3] = 255, 1
  return truth, guess


def measured(parts, **fields):
  context = evalkit.context(size=4)
  context.outputs = lambda *args, **kwargs: iter(parts)
  return dict(semantic.Evaluator(**fields).run(context))


def test_intersections_are_summed_over_all_pixels():
  truth, guess = maps()
  image = np.zeros((3, 4, 4, 3), np.float32)
  cut = lambda i: (
    {"truth": truth[i], "guess": guess[i], "image": image[i]},
    {},
  )
  found = measured([cut([0]), cut([1, 2])])
  assert found["iou_0"] == pytest.approx(100 * 30 / 35)
  assert found["iou_1"] == pytest.approx(100 * 4 / 8)
  assert found["iou_2"] == pytest.approx(100 * 8 / 9)
  each = [found[f"iou_{c}"] for c in range(3)]
  assert found["miou"] == pytest.approx(np.mean(each))
  assert found["pixel_accuracy"] == pytest.approx(100 * 42 / 47)
  assert found["examples"] == 3 and found["sheet"].std() > 0


def test_entries_have_names_of_their_own():
  truth, guess = maps()
  found = measured(
    [({"mine": guess, "right": truth}, {})], guess="mine", truth="right"
  )
  assert found["iou_1"] == pytest.approx(50)
  with pytest.raises(errors.UserError, match="evals.<name>.truth"):
    measured([({"guess": guess}, {})])
