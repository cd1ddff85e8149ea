"""Prefixes of a code: nested, complete, and deaf to what is beyond them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.methods.parts import time_blocks

PUBLISHED = time_blocks.TimeBlocks()
PLAIN = dict(stages=(), stage_widths=())
CASES = {
  "published": (PUBLISHED, 1000),
  "without stages": (time_blocks.TimeBlocks(**PLAIN), 1000),
  "stages of unequal widths": (
    time_blocks.TimeBlocks(
      width=24, blocks=5, stages=(9, 17, 40), stage_widths=(7, 1, 16)
    ),
    40,
  ),
  "a stage in which no block begins": (
    time_blocks.TimeBlocks(
      width=24, blocks=4, stages=(3, 9, 40), stage_widths=(7, 1, 16)
    ),
    40,
  ),
  "more blocks than numbers": (
    time_blocks.TimeBlocks(width=3, blocks=7, **PLAIN),
    30,
  ),
  "one block": (time_blocks.TimeBlocks(width=9, blocks=1), 30),
}


def seen(part, times, **how):
  """[T, d] what is left of a code of ones at each time."""
  t = jnp.arange(times)
  ones = jnp.ones((times, part.width))
  return np.asarray(getattr(part, how.get("how", "prefix"))(ones, t, times))


@pytest.mark.parametrize("name", CASES)
def test_prefixes_are_nested_and_the_last_is_the_whole(name):
  part, times = CASES[name]
  part.check(times)
  ends, index = part.ends(times), part.index(times)
  assert len(ends) == part.blocks and ends[-1] == part.width
  assert (np.diff(ends) >= 0).all()
  assert index[0] == 0 and index[-1] == part.blocks - 1
  assert set(np.diff(index)) <= {0, 1}
  rows = seen(part, times)
  assert (np.diff(rows, axis=0) >= 0).all() and (rows[-1] == 1).all()
  np.testing.assert_array_equal(rows.sum(1), ends[index])
  # The newest blocks of all are the whole code, once.
  begins = np.concatenate([[0], ends[:-1]])
  newest = [np.arange(b, e) for b, e in zip(begins, ends, strict=True)]
  np.testing.assert_array_equal(np.concatenate(newest), np.arange(part.width))


def test_published_stages_have_their_widths():
  """Times are in blocks of 15.625; the first of stage 2 begins at 62.5."""
  ends, index = PUBLISHED.ends(1000), PUBLISHED.index(1000)
  for end, width in zip((50, 100, 300, 500), (10, 35, 362, 462), strict=True):
    last = index[end - 1]  # its first time is before the end of the stage
    assert ends[last] == width
  assert list(ends[:4]) == [2, 4, 6, 10]  # int(10 / 4), and the last fills up
  assert list(ends[4:7]) == [18, 26, 35]


def test_one_block_is_the_whole_code_at_all_times():
  part, times = CASES["one block"]
  assert (seen(part, times) == 1).all()
  assert (seen(part, times, how="newest") == 1).all()


@pytest.mark.parametrize("name", ["published", "stages of unequal widths"])
def test_nothing_beyond_a_prefix_has_a_gradient_and_newest_less(name):
  part, times = CASES[name]
  t = jnp.asarray([0, times // 3, times - 1])
  z = jax.random.normal(jax.random.key(0), (3, part.width))
  weigh = jax.random.normal(jax.random.key(1), z.shape)

  def of(how):
    return jax.grad(lambda z: (weigh * getattr(part, how)(z, t, times)).sum())(
      z
    )

  np.testing.assert_array_equal(
    part.prefix(z, t, times), part.newest(z, t, times)
  )
  whole, newest = np.asarray(of("prefix")), np.asarray(of("newest"))
  end = part.ends(times)[part.index(times)[np.asarray(t)]]
  at = np.arange(part.width)
  assert (whole[at >= end[:, None]] == 0).all()
  assert (whole[at < end[:, None]] != 0).all()
  assert ((newest != 0) <= (whole != 0)).all()
  assert (newest[2] != 0).sum() < (whole[2] != 0).sum()


def test_blocks_of_two_codes_are_mixed(normal):
  part, times = CASES["stages of unequal widths"]
  ends = part.ends(times)
  a, b = normal(2, 24), normal(2, 24, seed=1)
  mix = lambda share, first, last: np.asarray(
    part.mixed(a, b, share, first=first, last=last, times=times)
  )
  found = mix(1.0, 1, 3)
  np.testing.assert_array_equal(found[:, : ends[0]], a[:, : ends[0]])
  np.testing.assert_allclose(
    found[:, ends[0] : ends[2]], b[:, ends[0] : ends[2]], atol=1e-6
  )
  np.testing.assert_array_equal(found[:, ends[2] :], a[:, ends[2] :])
  np.testing.assert_allclose(mix(1.0, 0, 5), b, atol=1e-6)
  np.testing.assert_array_equal(mix(0.0, 0, 5), a)


def test_a_moved_code_goes_along_the_direction_by_its_deviations(normal):
  z, direction = normal(2, 16), normal(16, seed=1)
  std = np.abs(normal(16, seed=2)) + 0.1
  moved = time_blocks.moved(z, direction, std, strength=0.3)
  step = np.asarray((moved - z) / std)
  np.testing.assert_allclose(np.linalg.norm(step, axis=1), 0.3 * 4, rtol=1e-4)
  score = lambda z: (z / std) @ direction
  assert (score(moved) > score(z)).all()
  few = time_blocks.moved(z, direction, std, strength=0.3, keep=3)
  changed = np.abs(np.asarray(few) - z).max(0) > 0
  assert set(np.flatnonzero(changed)) == set(np.argsort(-abs(direction))[:3])


@pytest.mark.parametrize(
  "fields, seen",
  [
    (dict(blocks=41), "blocks.blocks=41 of 40"),
    (dict(stages=(40,), stage_widths=()), "1 entries, stage_widths 0"),
    (dict(stages=(9, 30), stage_widths=(12, 12)), "the last 40"),
    (dict(stages=(30, 9, 40), stage_widths=(8, 8, 8)), "ascending"),
    (dict(stages=(9, 40), stage_widths=(12, 11)), "23 numbers"),
    (dict(stages=(9, 39, 40), stage_widths=(8, 8, 8)), "begins in the last"),
  ],
)
def test_blocks_that_cannot_be_are_refused(fields, seen):
  given = dict(width=24, blocks=5, stages=(9, 40), stage_widths=(12, 12))
  with pytest.raises(ValueError, match=seen):
    time_blocks.TimeBlocks(**(given | fields)).check(40)
