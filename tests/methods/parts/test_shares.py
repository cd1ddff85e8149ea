import numpy as np
import pytest

from jmim.methods.parts import shares


@pytest.mark.parametrize(
  "both, counts",
  [((0.5, 0.5), (4, 4)), ((1.0, 0.25), (8, 2)), ((0.0, 1.0), (0, 8))],
)
def test_the_first_generate_and_the_last_discriminate(both, counts):
  part = shares.Shares(generation=both[0], discrimination=both[1])
  x = np.arange(8)
  assert part.counts(8) == counts
  first = part.first({"x": x, "seed": 7}, 8, ("seed",))
  last = part.last({"x": x, "seed": 7}, 8, ("seed",))
  np.testing.assert_array_equal(first["x"], x[: counts[0]])
  np.testing.assert_array_equal(last["x"], x[8 - counts[1] :])
  assert first["seed"] == last["seed"] == 7


def test_a_task_with_a_share_has_an_example():
  assert shares.Shares(generation=0.1, discrimination=0.9).counts(2) == (1, 1)
  # No example serves both, whatever the batch.
  assert shares.Shares().counts(7) == (3, 3)


def test_no_task_is_refused():
  shares.Shares(generation=0.0).check("shares.")
  with pytest.raises(ValueError, match=r"shares\.generation=0"):
    shares.Shares(generation=0.0, discrimination=0.0).check("shares.")
