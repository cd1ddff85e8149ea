import jax.numpy as jnp
import numpy as np
import pytest

from jmim.methods.parts import tiles as tiling

TILES = tiling.Tiles(side=8, stride=6)


def enlarged(low, number):
  del number
  return low.repeat(2, 1).repeat(2, 2)


@pytest.mark.parametrize(
  "length, expected",
  [(8, [0]), (14, [0, 6]), (15, [0, 6, 7]), (20, [0, 6, 12])],
)
def test_tiles_reach_the_end(length, expected):
  assert tiling.starts(length, 8, 6) == expected


def test_what_each_tile_makes_is_averaged(normal):
  """A result that is local is what it is without tiles."""
  low = jnp.asarray(normal(2, 7, 10, 3))
  made = TILES.apply(enlarged, low, 2)
  np.testing.assert_allclose(made, enlarged(low, 0), atol=1e-6)
  counted = TILES.apply(
    lambda low, number: jnp.full((2, 8, 8, 1), number, jnp.float32), low, 2
  )
  corners = [(i, j) for i in (0, 6) for j in (0, 6, 12)]
  total, seen = np.zeros((14, 20)), np.zeros((14, 20))
  for number, (i, j) in enumerate(corners):
    total[i : i + 8, j : j + 8] += number
    seen[i : i + 8, j : j + 8] += 1
  np.testing.assert_allclose(counted[0, ..., 0], total / seen, atol=1e-6)


@pytest.mark.parametrize("sides", [(4, 4), (3, 10), (2, 2)])
def test_an_image_no_larger_than_a_tile_is_one(sides, normal):
  low = jnp.asarray(normal(1, *sides, 3))
  once = lambda low, number: enlarged(low, 0) + number + low.shape[1]
  expected = enlarged(low, 0) + sides[0]
  np.testing.assert_allclose(TILES.apply(once, low, 2), expected)
  none = tiling.Tiles(side=0)
  np.testing.assert_allclose(none.apply(once, low, 2), expected)


@pytest.mark.parametrize(
  "tiles, word",
  [
    (tiling.Tiles(side=8, stride=10), "stride=10 above 8"),
    (tiling.Tiles(side=6, stride=4), "side=6 is no multiple of 4"),
    (tiling.Tiles(side=8, stride=5), "stride=5 is no multiple of 2"),
  ],
)
def test_what_does_not_fit_is_named(tiles, word):
  with pytest.raises(ValueError, match=word):
    tiles.check(16, factor=2, unit=4)


def test_a_side_that_is_not_cut_may_be_any():
  tiling.Tiles(side=6, stride=5).check(6, factor=2, unit=4)
  tiling.Tiles(side=0).check(16, factor=2, unit=4)
