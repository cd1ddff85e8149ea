import numpy as np
import pytest

from jmim.checkpoints import positions

RNG = np.random.default_rng(0)


def test_an_equal_grid_is_left_as_it_is():
  table = RNG.normal(size=(1, 17, 6)).astype("f4")
  np.testing.assert_allclose(
    positions.resize(table, (1, 17, 6)), table, atol=1e-6
  )


def test_rows_before_the_grid_stay_and_a_constant_stays_constant():
  table = np.full((1, 2 + 16, 3), 0.5, "f4")
  table[:, :2] = RNG.normal(size=(2, 3))
  found = positions.resize(table, (1, 2 + 36, 3))
  assert found.shape == (1, 38, 3)
  np.testing.assert_array_equal(found[:, :2], table[:, :2])
  np.testing.assert_allclose(found[:, 2:], 0.5, atol=1e-5)


def test_neighbours_stay_neighbours():
  """A table that grows with the row and with the column still does."""
  y, x = np.indices((4, 4)).reshape(2, -1)
  table = np.stack([y, x], axis=-1).astype("f4")
  found = positions.resize(table, (64, 2)).reshape(8, 8, 2)
  assert (np.diff(found[..., 0], axis=0) > 0).all()
  assert (np.diff(found[..., 1], axis=1) > 0).all()


@pytest.mark.parametrize("shape", [(1, 37, 8), (1, 38, 7), (1, 36, 7)])
def test_other_widths_or_tokens_cannot_be(shape):
  with pytest.raises(ValueError, match="17, 7.* cannot be resized"):
    positions.resize(np.zeros((1, 17, 7)), shape)
