import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.masks import occupied

B, N = 6, 40
SHARES = (0.6, 0.8)


def example(seed=0):
  """(scores, which are occupied: 1, 5, 9 ... of each row)."""
  rng = np.random.default_rng(seed)
  filled = np.zeros((B, N), bool)
  for row, count in enumerate((1, 5, 9, 20, 38, 40)):
    filled[row, rng.permutation(N)[:count]] = True
  return rng.random((B, N)).astype(np.float32), filled


def split(budgets=(0, 0), seed=0):
  scores, filled = example(seed)
  sizes = tuple(
    occupied.slots(N, share, budget)
    for share, budget in zip(SHARES, budgets, strict=True)
  )
  run = jax.jit(lambda s, f: occupied.split(s, f, SHARES, sizes))
  return run(scores, filled), sizes


def kept_ids(kept, row):
  return np.asarray(kept.keep[row])[np.asarray(kept.valid[row])]


def test_numbers_are_those_of_the_card():
  np.testing.assert_array_equal(occupied.counts(4, 0.5), [0, 1, 1, 2, 2])
  # In double precision, where 0.95 * 20 is 19 and not just below.
  assert occupied.counts(20, 0.95)[20] == 1
  # 2048 points in 4096 patches.
  assert occupied.slots(2048, 0.95) == 2048 - 1945
  assert occupied.slots(4095, 0.99) == 41
  assert occupied.slots(4095, 0.99, budget=4) == 4


@pytest.mark.parametrize("budgets", [(0, 0), (3, 2)])
def test_counts_are_exact_and_kinds_apart(budgets):
  kept, sizes = split(budgets)
  _, filled = example()
  assert kept.keep.shape == (B, sum(sizes))
  for row in range(B):
    ids = kept_ids(kept, row)
    assert len(set(ids)) == len(ids)
    for kind, share, size in (
      (filled[row], SHARES[0], sizes[0]),
      (~filled[row], SHARES[1], sizes[1]),
    ):
      n = kind.sum()
      assert kind[ids].sum() == min(n - math.floor(share * n), size)
    visible = np.asarray(kept.visible[row])
    np.testing.assert_array_equal(np.nonzero(visible)[0], sorted(ids))


def test_the_smallest_scores_of_a_kind_stay():
  kept, _ = split()
  scores, filled = example()
  for row in range(B):
    ids = kept_ids(kept, row)
    for kind in (filled[row], ~filled[row]):
      own = scores[row, ids[kind[ids]]]
      rest = np.setdiff1d(np.nonzero(kind)[0], ids)
      assert (
        not len(rest) or not len(own) or own.max() < scores[row, rest].min()
      )


def test_every_token_of_a_kind_is_as_likely():
  filled = np.arange(N) % 4 == 0
  scores = np.random.default_rng(1).random((4000, N)).astype(np.float32)
  sizes = (occupied.slots(10, SHARES[0]), occupied.slots(30, SHARES[1]))
  kept = occupied.split(
    jnp.asarray(scores), jnp.asarray(np.tile(filled, (4000, 1))), SHARES, sizes
  )
  share = np.asarray(kept.visible).mean(0)
  np.testing.assert_allclose(share[filled], 0.4, atol=0.04)
  np.testing.assert_allclose(share[~filled], 0.2, atol=0.04)


def test_uniform_keeps_as_many_of_whatever():
  scores, _ = example()
  kept = occupied.uniform(jnp.asarray(scores), 7)
  assert kept.valid.all() and (kept.visible.sum(1) == 7).all()
  np.testing.assert_array_equal(
    np.sort(kept.keep, 1), np.sort(np.argsort(scores, 1)[:, :7], 1)
  )


def test_tokens_return_to_their_places():
  kept, _ = split()
  tokens = jnp.asarray(np.random.default_rng(2).normal(size=(B, N, 3)))
  ids = jnp.minimum(kept.keep, N - 1)
  some = jnp.take_along_axis(tokens, ids[..., None], axis=1)
  some = jnp.where(kept.valid[..., None], some, 99.0)  # is not to be seen
  full = occupied.restore(some, jnp.full((1, 1, 3), -5.0), kept)
  expected = np.where(kept.visible[..., None], tokens, -5.0)
  np.testing.assert_allclose(full, expected, atol=1e-6)
