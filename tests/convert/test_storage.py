"""Views of storages: what they read, and what is refused."""

import numpy as np
import pytest

from jmim.convert import storage
from jmim.core import unpickler

FLAT = np.arange(12, dtype=np.float32)
STORED = storage.Storage(np.float32, 12, FLAT.tobytes)


@pytest.mark.parametrize(
  "offset, shape, stride, want",
  [
    (0, (12,), (1,), FLAT),
    (0, (3, 4), (4, 1), FLAT.reshape(3, 4)),
    (0, (4, 3), (1, 4), FLAT.reshape(3, 4).T),
    (5, (2, 2), (4, 2), [[5, 7], [9, 11]]),
    (3, (2, 3), (0, 1), [[3, 4, 5], [3, 4, 5]]),
    (7, (), (), 7),
    (12, (0,), (1,), []),
  ],
)
def test_a_view_reads_what_its_numbers_say(offset, shape, stride, want):
  tensor = storage.rebuild(STORED, offset, shape, stride, False, {})
  np.testing.assert_array_equal(tensor.read(), want)


@pytest.mark.parametrize(
  "offset, shape, stride",
  [
    (0, (13,), (1,)),
    (1, (12,), (1,)),
    (0, (2, 7), (6, 1)),
    (0, (13,), (0,)),
    (0, (10**6, 10**6), (0, 0)),
    (-1, (2,), (1,)),
    (0, (2,), (-1,)),
    (0, (2, 2), (1,)),
    (0, (2.0,), (1,)),
    (True, (2,), (1,)),
    (0, 3, (1,)),
    (0, (2**63,), (1,)),
    (0, (1,) * 65, (1,) * 65),
    (0, {"a": 1}, (1,)),
  ],
)
def test_a_view_outside_of_its_storage_is_refused(offset, shape, stride):
  with pytest.raises(unpickler.Refused, match="a tensor of shape"):
    storage.rebuild(STORED, offset, shape, stride)


def test_elements_of_a_storage_without_a_type_are_counted_in_theirs():
  raw = storage.Storage(np.uint8, 48, FLAT.tobytes)
  kind = storage.Kind(np.float32)
  tensor = storage.rebuild_typed(raw, 2, (3,), (1,), False, {}, kind)
  np.testing.assert_array_equal(tensor.read(), [2, 3, 4])
  with pytest.raises(unpickler.Refused, match="over 12 elements"):
    storage.rebuild_typed(raw, 0, (13,), (1,), False, {}, kind)
  with pytest.raises(unpickler.Refused, match="without a storage or type"):
    storage.rebuild_typed(raw, 0, (3,), (1,), False, {}, np.float32)


def test_what_is_no_storage_is_refused():
  with pytest.raises(unpickler.Refused, match="without a storage"):
    storage.rebuild(FLAT, 0, (3,), (1,))


@pytest.mark.parametrize("thing", [STORED, storage.Kind(np.float32)])
def test_nothing_can_be_changed(thing):
  with pytest.raises(unpickler.Refused, match="changes objects"):
    thing.__setstate__({"dtype": np.float64})


def test_a_parameter_is_its_tensor():
  tensor = storage.rebuild(STORED, 0, (2,), (1,))
  assert storage.rebuild_parameter(tensor, True, {}) is tensor
