import numpy as np
import pytest

from jmim.metrics import curves


def test_the_area_is_of_the_steps_that_both_have():
  base = {0: 1.0, 10: 2.0, 30: 4.0}
  assert curves.rauc(base, base) == 1
  ours = {0: 2.0, 5: 99.0, 10: 4.0, 30: 4.0, 40: 9.0}
  assert curves.rauc(ours, base) == pytest.approx((30 + 80) / (15 + 60))
  with pytest.raises(ValueError, match="none to join"):
    curves.rauc({1: 1.0}, {2: 1.0})


def test_a_level_is_reached_between_two_steps():
  curve = {10: 3.0, 20: 1.0, 30: 2.0}
  assert curves.reach(curve, 2.0) == 15
  assert curves.reach(curve, 3.0) == 10
  assert curves.reach(curve, 0.5) == np.inf
