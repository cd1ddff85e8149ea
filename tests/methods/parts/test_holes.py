import jax
import numpy as np
import pytest

from jmim.core import field
from jmim.core import randomness
from jmim.methods.parts import holes

HOLES = holes.Holes(boxes=2)


def test_a_box_is_where_its_numbers_say():
  """(height, width, top, left) as shares of what is possible."""
  one = field.replace(HOLES, sides=(0.25, 0.5))
  boxes = np.array([[[0.0, 1.0, 0.0, 1.0]], [[1.0, 0.0, 0.5, 0.5]]], "f4")
  mask = np.asarray(one.mask(boxes, (8, 16)))[..., 0]
  expected = np.zeros((2, 8, 16))
  expected[0, :2, 8:] = 1
  expected[1, 2:6, 6:10] = 1
  np.testing.assert_array_equal(mask, expected)


def test_missing_pixels_are_black_and_marked(normal):
  x = normal(3, 8, 12, 3) + 5
  draws = HOLES.draw(randomness.Keys(jax.random.key(0)), 3)
  shown = np.asarray(HOLES.cut(x, draws))
  m = shown[..., 3:]
  assert set(np.unique(m)) == {0, 1}
  np.testing.assert_array_equal(shown[..., :3], np.where(m, 0, x))
  np.testing.assert_array_equal(
    HOLES.pasted(np.zeros_like(x), shown), x * (1 - m)
  )
  np.testing.assert_array_equal(
    HOLES.pasted(np.ones_like(x), shown), np.where(m, 1, x)
  )


def test_errors_weigh_by_their_side(normal):
  x = normal(2, 8, 8, 3)
  shown = HOLES.cut(x, HOLES.draw(randomness.Keys(jax.random.key(1)), 2))
  m = np.asarray(shown)[..., 3:]
  found = HOLES.weighted(np.ones_like(x), shown)
  np.testing.assert_array_equal(found, np.broadcast_to(10 - 9 * m, x.shape))


def test_evaluation_cuts_an_example_by_its_number(normal):
  x = normal(3, 8, 8, 3)
  fixed = jax.jit(HOLES.fixed)
  whole = np.asarray(fixed(x, np.array([5, 9, 2])))
  turned = np.asarray(fixed(x[::-1], np.array([2, 9, 5])))
  np.testing.assert_array_equal(whole[::-1], turned)
  assert not (whole[0, ..., 3] == whole[1, ..., 3]).all()


def test_without_boxes_nothing_is_missing(normal):
  none, x = holes.Holes(), normal(2, 4, 4, 3)
  assert none.draw(None, 2) == {} and none.channels == 0
  for made in (none.cut(x, {}), none.weighted(x, x), none.pasted(x, 0 * x)):
    assert made is x


@pytest.mark.parametrize("sides", [(0.5, 0.2), (0.0, 0.5), (0.5, 1.5), (0.5,)])
def test_sides_that_are_none_are_named(sides):
  with pytest.raises(ValueError, match="holes.sides"):
    field.replace(HOLES, sides=sides).check()
  HOLES.check()


def test_a_result_of_another_size_is_named():
  with pytest.raises(ValueError, match="holes.boxes=2 .* degraded.factor=4"):
    HOLES.check(4)
  holes.Holes().check(4)
