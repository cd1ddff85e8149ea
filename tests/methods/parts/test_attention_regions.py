import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.methods.parts import attention_regions

RNG = np.random.default_rng(0)
PART = attention_regions.AttentionRegions(side=4, regions=2)
REGIONS = jnp.asarray(RNG.integers(0, 3, (2, 8, 8)))


def maps(k=3):
  return jax.nn.softmax(jnp.asarray(RNG.normal(size=(2, 4, 4, k))), axis=-1)


def test_shares_of_a_cell_are_those_of_its_pixels():
  found = PART.shares(REGIONS)
  cell = np.asarray(REGIONS)[1, 2:4, 6:8]
  want = [(cell == k).mean() for k in range(2)]
  np.testing.assert_allclose(found[1, 1, 3], want)


def test_maps_that_are_the_regions_cost_nothing():
  right = jnp.concatenate([PART.shares(REGIONS), maps(1)], axis=-1)
  np.testing.assert_array_equal(PART.to_masks(right, REGIONS), 0)
  off = right.at[0, 1, 2, 1].add(0.5)
  np.testing.assert_allclose(PART.to_masks(off, REGIONS), [0.25 / 32, 0])
  # Tokens beyond the named regions are free.
  free = right.at[..., 2].add(1.0)
  np.testing.assert_array_equal(PART.to_masks(free, REGIONS), 0)


def test_statistics_are_of_means_and_of_two_times():
  a, b = maps(), maps()
  shares = jax.nn.softmax(jnp.asarray(RNG.normal(size=(2, 3, 9))), axis=1)
  found = PART.to_statistics(a, b, shares)
  a_, b_, m = (np.asarray(x) for x in (a, b, shares))
  for i in range(2):
    gap = [(a_[i, ..., k].mean() - m[i, k].mean()) ** 2 for k in range(3)]
    want = np.mean(gap) + np.abs(a_[i] - b_[i]).mean()
    assert found[i] == pytest.approx(want, rel=1e-5)
  # The map at the other time is a constant.
  grad = jax.grad(lambda x: PART.to_statistics(a, x, shares).sum())(b)
  assert not grad.any()


def test_what_is_read_depends_on_what_is_asked():
  stats = attention_regions.AttentionRegions(kind="statistics")
  none = attention_regions.AttentionRegions(weight=0.0)
  assert PART.masked(3) and not PART.twice(3)
  assert stats.twice(3) and not stats.masked(3)
  for part in (PART, stats, none):
    assert not part.masked(0) and not part.twice(0)
  assert set(PART.inputs(3, 8)) == {"segmentation"}
  assert PART.inputs(3, 8)["segmentation"].high == 3
  assert not none.inputs(3, 8) and not stats.inputs(3, 8)


def test_sides_without_attention_are_refused():
  PART.check(3, (4, 2))
  with pytest.raises(ValueError, match="told.attention.side=4"):
    PART.check(3, (8, 2))
  with pytest.raises(ValueError, match="told.source.count=1"):
    PART.check(1, (4,))
