import numpy as np
import pytest

from jmim.core import errors
from jmim.evals.lib import chunks


@pytest.mark.parametrize("total", [1, 3, 8, 9, 21])
def test_all_rows_come_once_and_in_order_in_few_sizes(total):
  sizes = set()

  def double(batch, start):
    sizes.add(len(batch["x"]))
    assert batch["label"][0] == 2 * start
    assert len(batch["label"]) == len(batch["x"])
    return {"twice": 2 * batch["x"], "label": batch["label"]}

  rows = np.arange(2 * total).reshape(total, 2)
  made = chunks.compute(double, {"x": rows, "label": rows[:, 0]}, 8)
  np.testing.assert_array_equal(made["twice"], 2 * rows)
  np.testing.assert_array_equal(made["label"], rows[:, 0])
  assert sizes <= {1, 2, 4, 8}


def test_the_most_need_not_be_a_power_of_two():
  sizes = []
  chunks.compute(
    lambda b, _: sizes.append(len(b["x"])) or b["x"], {"x": np.arange(13)}, 5
  )
  assert sizes == [5, 5, 4]


def test_what_has_no_rows_is_computed_as_it_is():
  one = np.ones(2)
  assert chunks.compute(lambda batch, start: one, {}, 8) is one


@pytest.mark.parametrize("sizes, most", [((3, 4), 8), ((3, 3), 0)])
def test_what_does_not_fit_is_refused(sizes, most):
  batch = dict(zip("ab", map(np.zeros, sizes), strict=True))
  with pytest.raises(errors.UserError):
    chunks.compute(lambda b, start: b["a"], batch, most)
