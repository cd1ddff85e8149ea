import numpy as np
import numpyt5
import pytest

from jmim.nn import t5


@pytest.mark.parametrize("ahead", [True, False])
@pytest.mark.parametrize("count, distance", [(8, 16), (32, 128), (12, 100)])
def test_buckets_are_those_of_the_definition(ahead, count, distance):
  offset = np.arange(-300, 301)
  found = t5.buckets(offset, ahead=ahead, count=count, distance=distance)
  want = [numpyt5.bucket(int(o), ahead, count, distance) for o in offset]
  # Logarithms of whole powers are whole, or just below, by their rounding.
  assert (np.abs(found - want) <= 1).all() and (found != want).mean() < 0.01
  assert found.min() == 0 and found.max() == count - 1
  near = np.abs(offset) < count // (4 if ahead else 2)
  np.testing.assert_array_equal(found[near], np.array(want)[near])
