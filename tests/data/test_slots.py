"""The arrays of a batch, slot by slot."""

import numpy as np
import pytest

from jmim.core import errors
from jmim.data import slots


@pytest.mark.parametrize(
  "other", [{"x": np.zeros(3)}, {"y": np.zeros(2)}, {"x": np.zeros(2, "f4")}]
)
def test_slots_are_alike_in_what_is_needed(other):
  first = {"x": np.ones(2)}
  strict = slots.Slots(3, needed="x")
  strict.put(1, first)
  with pytest.raises(errors.UserError, match="in a batch") as e:
    strict.put(2, other)
  assert e.value.key == "data.name"
  assert strict.batch()["x"].shape == (3, 2) and strict.batch()["x"][1].all()


def test_what_one_slot_lacks_or_has_too_much_is_left_out_of_all():
  filled = slots.Slots(3, needed="")
  filled.put(0, {"x": np.ones(2), "kept": np.int32(1)})
  filled.put(1, {"x": np.ones(3), "kept": np.int32(2), "late": np.zeros(1)})
  filled.put(2, {"x": np.ones(2), "kept": np.int32(3)})
  assert filled.batch().keys() == {"kept"}
  assert filled.batch()["kept"].tolist() == [1, 2, 3]


def test_slots_may_be_written_in_any_order():
  filled = slots.Slots(4, needed="x")
  for slot in (2, 0, 3, 1):
    filled.put(slot, {"x": np.full(2, slot)})
  np.testing.assert_array_equal(filled.batch()["x"][:, 0], range(4))
