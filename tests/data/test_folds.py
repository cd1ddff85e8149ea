import numpy as np
import pytest

from jmim.core import errors
from jmim.data import folds
from jmim.data import splits


@pytest.mark.parametrize("count", [2, 3, 4, 7])
def test_every_example_is_left_out_once(count):
  n = 101
  left = np.zeros(n, int)
  for k in range(count):
    seen = splits.parse(folds.without(k, count)).positions(n)
    left += ~np.isin(np.arange(n), seen)
  np.testing.assert_array_equal(left, 1)


def test_how_it_is_written():
  assert folds.without(0, 4) == "train[25%:]"
  assert folds.without(1, 4) == "train[:25%]+train[50%:]"
  assert folds.without(3, 4, "made") == "made[:75%]"
  assert folds.without(-1, 4) == "train"


@pytest.mark.parametrize("fold, count", [(4, 4), (-2, 4), (0, 1)])
def test_folds_that_there_are_not(fold, count):
  with pytest.raises(errors.UserError, match="folds"):
    folds.without(fold, count)
