import jax.numpy as jnp
import numpy as np
import pytest

from jmim.methods.parts import raster

R = raster.Raster(shape=(4, 6, 4), patch=(2, 3, 2))


@pytest.fixture(scope="module")
def x(normal):
  return normal(2, *R.shape)


def test_tokens_and_back_is_the_identity(x):
  tokens = R.tokens(x)
  assert tokens.shape == (2, R.count, R.voxels) == (2, 8, 12)
  np.testing.assert_array_equal(R.volume(tokens), x)


def test_the_order_is_raster_depth_first(x):
  for number, (d, h, w) in enumerate(np.ndindex(R.grid)):
    box = x[:, 2 * d : 2 * d + 2, 3 * h : 3 * h + 3, 2 * w : 2 * w + 2]
    index = jnp.full(2, number)
    np.testing.assert_array_equal(R.take(x, index), box.reshape(2, -1))


def test_exactly_k_tokens_are_seen_and_k_is_data(x):
  k = jnp.array([3, 7])
  shown = R.hide(x, R.prefix(k))
  tokens, all_ = R.tokens(shown), R.tokens(x)
  for row, n in enumerate([3, 7]):
    there = np.any(np.asarray(tokens[row]) != 0, axis=-1)
    assert there.tolist() == [True] * n + [False] * (8 - n)
    np.testing.assert_array_equal(tokens[row, :n], all_[row, :n])


def test_hidden_voxels_take_their_filling(x, normal):
  fill = normal(2, *R.shape, seed=1)
  shown = R.hide(x, R.prefix(jnp.array([0, 8])), fill)
  np.testing.assert_array_equal(shown[0], fill[0])
  np.testing.assert_array_equal(shown[1], x[1])


@pytest.mark.parametrize(
  ("shape", "patch", "said"),
  [
    ((4, 6), (2, 3, 2), "three numbers"),
    ((4, 6, 5), (2, 3, 2), "multiple"),
    ((4, 6, 4), (4, 6, 4), "none is next"),
    ((4, 6, 4), (0, 3, 2), "multiple"),
  ],
)
def test_tokens_that_do_not_fill_the_volume_are_errors(shape, patch, said):
  with pytest.raises(ValueError, match=said):
    raster.Raster(shape=shape, patch=patch).check()
