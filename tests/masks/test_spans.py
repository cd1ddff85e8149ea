import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.masks import spans

SPECIAL = spans.Special(pad=0, end=1, sentinel=99)


def test_what_is_kept_moves_together_and_ends():
  tokens = jnp.array([[5, 6, 7, 8], [5, 6, 7, 8], [5, 6, 7, 8]])
  keep = jnp.array([[1, 0, 1, 0], [1, 1, 1, 1], [0, 0, 0, 0]], bool)
  made, there = spans.packed(tokens, keep, 4, SPECIAL)
  np.testing.assert_array_equal(
    made, [[5, 7, 1, 0], [5, 6, 7, 1], [1, 0, 0, 0]]
  )
  np.testing.assert_array_equal(there.sum(1), [3, 4, 1])


def test_a_text_ends_at_its_end_or_padding():
  tokens = jnp.array([[5, 6, 1, 8], [5, 0, 7, 8], [5, 6, 7, 8]])
  there = spans.present(tokens, SPECIAL)
  np.testing.assert_array_equal(there.sum(1), [2, 1, 4])
  made, _ = spans.closed(tokens, 5, SPECIAL)
  np.testing.assert_array_equal(made[0], [5, 6, 1, 0, 0])


def test_a_text_in_two_parts():
  tokens = jnp.array([[5, 6, 7, 8, 0], [5, 0, 0, 0, 0]])
  at = jnp.array([2, 0])
  task = spans.parted(tokens, at, at, length=4, special=SPECIAL)
  np.testing.assert_array_equal(task.inputs, [[5, 6, 1, 0], [1, 0, 0, 0]])
  np.testing.assert_array_equal(task.targets, [[7, 8, 1, 0], [5, 1, 0, 0]])
  np.testing.assert_array_equal(task.read.sum(1), [3, 1])
  np.testing.assert_array_equal(task.said.sum(1), [3, 2])
  short = spans.parted(tokens, at, 0 * at, length=3, special=SPECIAL)
  np.testing.assert_array_equal(short.targets[0], [5, 6, 1])


def test_places_are_uniform_between_the_ends():
  u = (jnp.arange(6000) + 0.5) / 6000
  count = jnp.full(6000, 7)
  found = np.asarray(spans.place(u, count))
  np.testing.assert_array_equal(np.bincount(found), [0] + [1000] * 6)
  most = np.asarray(spans.place(u, count, most=2))
  np.testing.assert_array_equal(np.bincount(most), [0, 3000, 3000])
  few = spans.place(jnp.array([0.9, 0.9, 0.9]), jnp.array([0, 1, 2]))
  np.testing.assert_array_equal(few, [0, 0, 1])


def test_parts_have_an_item_each_and_any_size():
  rng = np.random.default_rng(0)
  scores = jnp.asarray(rng.uniform(size=(4000, 6)))
  items, parts = jnp.full(4000, 5), jnp.full(4000, 3)
  sizes = np.asarray(spans.segments(scores, items, parts))
  assert (sizes[:, :3] > 0).all() and not sizes[:, 3:].any()
  assert (sizes.sum(1) == 5).all()
  kinds, count = np.unique(sizes, axis=0, return_counts=True)
  assert len(kinds) == 6 and (np.abs(count / 4000 - 1 / 6) < 0.03).all()
  none = spans.segments(scores[:1], jnp.array([0]), jnp.array([0]))
  assert not none.any()


def mask_of_the_paper(n, share, mean, rng):
  """random_spans_noise_mask of T5."""
  hidden = min(max(round(n * share), 1), n - 1)
  count = min(max(round(hidden / mean), 1), n - hidden)

  def cut(items):
    first = np.arange(items - 1) < count - 1
    rng.shuffle(first)
    return np.bincount(np.cumsum([0, *first]), minlength=count)

  stays, inside = cut(n - hidden), cut(hidden)
  return np.concatenate(
    [[0] * a + [1] * b for a, b in zip(stays, inside, strict=True)]
  )


def test_gaps_are_those_of_the_paper():
  n, runs, rng = 9, 3000, np.random.default_rng(0)
  scores = jnp.asarray(rng.uniform(size=(runs, 2, 12)))
  how = dict(share=0.4, mean=2.0)
  ours = jax.jit(lambda s: spans.gaps(s, jnp.full(runs, n), **how))(scores)
  ours = np.asarray(ours)
  assert not ours[:, n:].any() and not ours[:, 0].any()
  theirs = np.stack([mask_of_the_paper(n, 0.4, 2.0, rng) for _ in range(runs)])
  assert set(ours.sum(1)) == set(theirs.sum(1)) == {4}
  gap = ours[:, :n].mean(0) - theirs.mean(0)
  assert np.abs(gap).max() < 0.05
  starts = lambda m: (np.diff(m.astype(int), axis=1) == 1).sum(1)
  assert set(starts(ours)) == set(starts(theirs)) == {2}
  few = spans.gaps(scores[:2], jnp.array([1, 2]), **how)
  np.testing.assert_array_equal(few.sum(1), [0, 1])


@pytest.mark.parametrize(
  "length, share, mean", [(2, 0.15, 3.0), (12, 0.4, 2.0), (12, 0.9, 1.0)]
)
def test_the_most_gaps_are_those_of_some_length(length, share, mean):
  scores = jnp.asarray(np.random.default_rng(0).uniform(size=(11, 2, length)))
  count = jnp.asarray(np.linspace(2, length, 11).astype(int))
  hidden = np.asarray(spans.gaps(scores, count, share=share, mean=mean))
  found = (np.diff(hidden.astype(int), axis=1) == 1).sum(1)
  assert found.max() == spans.most_gaps(length, share, mean)


def test_t5_has_sentinels_to_spare():
  assert spans.most_gaps(512, 0.15, 3.0) == 26


def test_gaps_have_sentinels_and_nothing_is_lost():
  tokens = jnp.array([[11, 12, 13, 14, 15, 16, 1, 0]])
  hidden = jnp.array([[0, 1, 1, 0, 0, 1, 0, 0]], bool)
  task = spans.gapped(tokens, hidden, SPECIAL)
  np.testing.assert_array_equal(task.inputs, [[11, 99, 14, 15, 98, 1, 0, 0, 0]])
  np.testing.assert_array_equal(
    task.targets, [[99, 12, 13, 98, 16, 1, 0, 0, 0]]
  )
  np.testing.assert_array_equal(task.read.sum(1), [6])
  np.testing.assert_array_equal(task.said.sum(1), [6])
