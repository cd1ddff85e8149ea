import evalkit
import numpy as np
import pytest

from jmim.evals import episodes


def outputs():
  """Of two classes: half a mask, a whole one; nothing of the other."""
  truth = np.zeros((3, 4, 4), bool)
  truth[0, :2], truth[1, :2], truth[2, :1] = True, True, True
  mask = truth.copy()
  mask[0, 1], mask[2] = False, False
  classes = np.array([4, 4, 7])
  image = np.linspace(-1, 1, 3 * 48, dtype=np.float32).reshape(3, 4, 4, 3)
  return {
    "support": -image,
    "support_mask": truth,
    "image": image,
    "truth": truth,
    "mask": mask,
    "class": classes,
  }


def test_intersections_and_unions_are_summed_before_they_are_divided():
  context = evalkit.context(size=4)
  out = outputs()
  parts = [({n: x[i] for n, x in out.items()}, {}) for i in ([0, 1], [2])]
  context.outputs = lambda *args, **kwargs: iter(parts)
  found = dict(episodes.Evaluator().run(context))
  assert found["iou_4"] == pytest.approx(100 * 12 / 16)
  assert found["iou_7"] == 0 and found["miou"] == pytest.approx(37.5)
  inside, outside = 12 / 20, 28 / 36
  assert found["fb_iou"] == pytest.approx(50 * (inside + outside))
  assert found["examples"] == 3
  assert found["sheet"].ndim == 3 and found["sheet"].std() > 0


def test_a_sheet_has_columns_in_one_order(monkeypatch):
  """Outputs of a compiled function come sorted by name."""
  context, titles = evalkit.context(size=4), []
  show = lambda columns: titles.extend(columns) or np.zeros((1, 1, 3))
  monkeypatch.setattr(episodes.draw, "sheet", show)
  out = dict(sorted(outputs().items()))
  for left_out in ((), ("support", "support_mask")):
    titles.clear()
    some = {n: x for n, x in out.items() if n not in left_out}
    context.outputs = lambda *args, some=some, **kwargs: iter([(some, {})])
    dict(episodes.Evaluator().run(context))
    assert titles == [n for n in episodes.SHOWN if n in some]
