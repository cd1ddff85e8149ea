import itertools

import numpy as np
import pytest

from jmim.nn import block_masks

PLAIN = block_masks.Layout(tokens=8, block=2)


@pytest.fixture
def sums():
  """n -> S [2, 3, n, n] whose rows sum to 2."""

  def make(n, heads=3, seed=0):
    rng = np.random.default_rng(seed)
    w = rng.dirichlet(np.full(n, 0.4), (2, heads, n))
    return np.float32(2 * w)

  return make


def layout(n, text=0):
  return block_masks.Layout(tokens=2 * n + text, block=2, text=text)


@pytest.mark.parametrize(
  ("tokens", "text", "blocks", "video", "start"),
  [
    (12, 0, 3, 3, 12),
    (11, 0, 3, 3, 11),
    (12, 4, 3, 2, 8),
    (11, 4, 3, 1, 4),  # tokens 4 .. 6 are of the video, in a block with text
    (13, 1, 4, 3, 12),
  ],
)
def test_blocks_with_a_text_token_are_text(tokens, text, blocks, video, start):
  found = block_masks.Layout(tokens=tokens, block=4, text=text)
  assert (found.blocks, found.video, found.start) == (blocks, video, start)


def test_a_layout_needs_a_block_of_the_video_alone():
  with pytest.raises(ValueError, match="none of the video alone"):
    block_masks.Layout(tokens=8, block=6, text=4)


@pytest.mark.parametrize(
  ("sparsity", "n", "wanted"),
  [(0.8, 10, 2), (0.0, 7, 7), (0.99, 10, 1), (0.75, 10, 2), (0.65, 10, 4)],
)
def test_kept_is_rounded_and_at_least_one(sparsity, n, wanted):
  assert block_masks.kept(sparsity, n) == wanted


@pytest.mark.parametrize("sparsity", [1 / 3, 0.4, 0.5, 0.8, 0.9, 0.97])
def test_counts_of_heads_have_the_mean_of_one_sparsity(sparsity):
  for n in range(1, 65):
    few, base, many = block_masks.counts(sparsity, n)
    assert base == block_masks.kept(sparsity, n)
    assert few + many == 2 * base
    assert 1 <= few <= base <= many <= n


def test_counts_are_those_of_the_three_sparsities():
  assert block_masks.counts(0.8, 40) == (4, 8, 12)  # .9, .8, .7


def test_a_sparsity_below_a_third_has_no_counts():
  with pytest.raises(ValueError, match="below 1/3"):
    block_masks.counts(0.3, 10)


@pytest.mark.parametrize(("n", "k"), [(3, 1), (3, 2), (4, 1)])
def test_the_greatest_of_all_have_the_recall_of_no_other_mask(sums, n, k):
  s = sums(n)
  found = block_masks.recall(s, block_masks.whole(s, k, layout(n)))
  flat = s.reshape(2, 3, -1)
  every = itertools.combinations(range(n * n), k * n)
  best = np.max([flat[..., list(kept)].sum(-1) for kept in every], axis=0)
  np.testing.assert_allclose(found, best / flat.sum(-1), rtol=1e-5)


@pytest.mark.parametrize(("n", "k"), [(3, 1), (3, 2), (4, 2)])
def test_rows_are_the_best_of_all_masks_of_equal_rows(sums, n, k):
  s = sums(n)
  index = block_masks.rows(s, k, layout(n))
  found = block_masks.recall(s, block_masks.mask(index, layout(n)))
  row = list(itertools.combinations(range(n), k))
  every = itertools.product(row, repeat=n)
  best = np.max(
    [sum(s[..., i, list(c)].sum(-1) for i, c in enumerate(m)) for m in every],
    axis=0,
  )
  np.testing.assert_allclose(found, best / s.sum((-2, -1)), rtol=1e-5)


def pattern(name, s, k, blocks):
  if name == "random":
    noise = np.random.default_rng(1).random(
      (*s.shape[:2], blocks.video, blocks.video)
    )
    return block_masks.random(s, k, blocks, noise=noise)
  return block_masks.PATTERNS[name](s, k, blocks)


NAMES = [*block_masks.PATTERNS, "random"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("k", [1, 3, 6])
def test_patterns_keep_k_of_each_row_and_no_more_recall(sums, name, k):
  s, blocks = sums(6), layout(6)
  mask = block_masks.mask(pattern(name, s, k, blocks), blocks)
  np.testing.assert_array_equal(mask.sum(-1), k)
  found = block_masks.recall(s, mask)
  rows = block_masks.mask(block_masks.rows(s, k, blocks), blocks)
  np.testing.assert_array_equal(rows.sum(-1), k)
  best = block_masks.recall(s, block_masks.whole(s, k, blocks))
  assert (found <= block_masks.recall(s, rows) + 1e-6).all()
  assert (block_masks.recall(s, rows) <= best + 1e-6).all()


def test_patterns_find_what_they_are_of():
  n, k = 6, 2
  low = np.full((1, 1, n, n), 0.01, np.float32)
  column, ring = low.copy(), low.copy()
  column[..., [1, 4]] = 1.0
  for i in range(n):
    ring[..., i, [(i + 1) % n, (i + 3) % n]] = 1.0
  for name, s in (("columns", column), ("diagonals", ring)):
    mask = block_masks.mask(pattern(name, s, k, layout(n)), layout(n))
    np.testing.assert_array_equal(mask, s == 1.0)
  near = block_masks.mask(pattern("window", low, 3, layout(n)), layout(n))
  wanted = [np.clip(i - 1, 0, n - 3) + np.arange(3) for i in range(n)]
  np.testing.assert_array_equal(np.nonzero(near[0, 0])[1].reshape(n, 3), wanted)


def test_recall_grows_with_the_blocks_kept(sums):
  s, blocks = sums(6), layout(6)
  made = {
    name: [
      block_masks.recall(s, block_masks.mask(index(k), blocks))
      for k in range(1, 7)
    ]
    for name, index in {
      "rows": lambda k: block_masks.rows(s, k, blocks),
      "columns": lambda k: block_masks.columns(s, k, blocks),
    }.items()
  }
  made["whole"] = [
    block_masks.recall(s, block_masks.whole(s, k, blocks)) for k in range(1, 7)
  ]
  for found in made.values():
    assert (np.diff(found, axis=0) > 0).all()
    np.testing.assert_allclose(found[-1], 1.0, rtol=1e-6)


@pytest.mark.parametrize("text", [1, 3])
def test_text_is_kept_whole_and_does_not_count(sums, text):
  blocks = layout(5, text)
  s = sums(blocks.blocks)
  n = blocks.video
  for mask in (
    block_masks.mask(block_masks.rows(s, 2, blocks), blocks),
    block_masks.whole(s, 2, blocks),
  ):
    assert mask[..., n:, :].all()
    assert mask[..., n:].all()
    assert (mask[..., :n, :n].sum((-2, -1)) == 2 * n).all()


def adaptive(s, blocks, sparsity=0.8, threshold=0.8):
  number = block_masks.counts(sparsity, blocks.video)
  return number, *block_masks.by_head(s, number, threshold, blocks)


def peaked(heads, sharp, n=10):
  """S of which the first `sharp` heads have all their mass in one block."""
  s = np.full((1, heads, n, n), 0.2, np.float32)
  s[:, :sharp] = 1e-3
  s[:, :sharp, :, 3] = 2.0
  return s


@pytest.mark.parametrize(
  ("sharp", "moved"), [(0, 0), (1, 1), (2, 2), (3, 2), (5, 2)]
)
def test_best_heads_give_blocks_to_the_worst(sharp, moved):
  blocks = layout(10)
  number, _, count = adaptive(peaked(5, sharp), blocks)
  assert number == (1, 2, 3)
  assert (count == number.few).sum() == moved
  assert (count == number.many).sum() == moved
  assert count.mean() == number.base  # the mean sparsity is that of all
  assert not (count[0, sharp:] == number.few).any()


def test_kept_blocks_of_a_head_are_its_best(sums):
  s, blocks = sums(10, heads=7, seed=3), layout(10)
  _, index, count = adaptive(s, blocks, threshold=0.5)
  assert len(np.unique(count)) == 3
  mask = np.asarray(block_masks.mask(index, blocks, count))
  np.testing.assert_array_equal(
    mask.sum(-1), np.broadcast_to(count[..., None], (2, 7, 10))
  )
  least = np.where(mask, s, np.inf).min(-1)
  assert (np.where(mask, -np.inf, s).max(-1) <= least).all()


def test_the_least_recall_of_a_head_rises():
  rng = np.random.default_rng(0)
  s = rng.dirichlet(np.full(10, 1.0), (1, 6, 10)).astype(np.float32)
  s[:, :3] = rng.dirichlet(np.full(10, 0.05), (1, 3, 10))
  blocks = layout(10)
  number, index, count = adaptive(s, blocks)
  uniform = block_masks.mask(block_masks.rows(s, number.base, blocks), blocks)
  before = block_masks.recall(s, uniform)
  after = block_masks.recall(s, block_masks.mask(index, blocks, count))
  assert after.min() > before.min() + 0.05
