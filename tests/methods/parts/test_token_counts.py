import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.methods.parts import token_counts
from jmim.nn import sizes

PART = token_counts.TokenCounts(granularity=4, untouched=(0, -1))
SIZE = sizes.Size(width=8, depth=4, heads=2)
HOW = dict(patch=4, patches=16, classes=5)


def theta(rows, seed=0):
  rng = np.random.default_rng(seed)
  return {
    k: jnp.asarray(rng.normal(size=(rows, 4))) for k in ("prune", "merge")
  }


def test_candidates_fall_to_the_last_above_zero():
  np.testing.assert_array_equal(PART.candidates(16), [16, 12, 8, 4])
  np.testing.assert_array_equal(PART.candidates(10), [10, 6, 2])


def test_only_blocks_that_are_compressed_have_logits():
  assert PART.compressed(4) == [1, 2]
  assert PART.init(16, 4)["prune"].shape == (2, 4)


def test_counts_are_expectations_rounded_up_with_the_class_token():
  counts = PART.of(
    {"prune": jnp.zeros((2, 4)), "merge": theta(2)["merge"]}, 16, 4
  )
  np.testing.assert_array_equal(counts.prune, [17, 11, 11, 17])
  pi = np.asarray(jax.nn.softmax(theta(2)["merge"]))
  want = np.ceil(pi @ [16, 12, 8, 4]) + 1
  np.testing.assert_array_equal(counts.merge[1:3], want)


def test_one_candidate_for_certain_is_that_count():
  sure = jnp.full((2, 4), -200.0).at[0, 0].set(200.0).at[1, 2].set(200.0)
  counts = PART.of({"prune": sure, "merge": sure}, 16, 4)
  np.testing.assert_array_equal(counts.prune, [17, 17, 9, 17])
  np.testing.assert_array_equal(counts.prune_survival[2], np.arange(17) < 9)


def test_a_place_survives_with_the_counts_that_reach_it():
  """cls and the first 4 patches always, the last ones with the first count."""
  counts = PART.of(theta(2), 16, 4)
  pi = np.asarray(jax.nn.softmax(theta(2)["prune"]))[0]
  p = np.asarray(counts.prune_survival[1])
  np.testing.assert_allclose(p[:5], 1, rtol=1e-6)
  np.testing.assert_allclose(p[5:9], pi[:3].sum(), rtol=1e-5)
  np.testing.assert_allclose(p[13:], pi[0], rtol=1e-5)
  np.testing.assert_array_equal(counts.merge_survival[0], np.ones(17))


def test_flops_of_one_block_by_hand():
  size = sizes.Size(width=8, depth=1, heads=2)
  got = token_counts.flops(([9], [7]), size, **HOW)
  want = 17 * 8 * 48 + (4 * 17 * 64 + 2 * 17 * 17 * 8) + 8 * 7 * 64 + 8 * 5
  assert float(got) == want


def test_mlps_may_be_counted_with_another_ratio():
  """As the authors, who count 4 whatever the network's is."""
  size = sizes.Size(width=8, depth=2, heads=2, mlp_ratio=2.0)
  assert PART.counted(size) == size
  four = token_counts.TokenCounts(mlp_ratio=4.0).counted(size)
  more, less = (
    float(token_counts.flops(([9, 5], [7, 7]), s, **HOW)) for s in (four, size)
  )
  assert more - less == 4 * (7 + 5) * 64


def test_the_smallest_count_goes_on_to_the_next_block():
  cost = lambda prune, merge: float(
    token_counts.flops((prune, merge), SIZE, **HOW)
  )
  assert cost([17, 9, 12, 5], [17, 8, 12, 7]) == cost([17, 8, 8, 5], [17] * 4)


def test_gradient_of_the_flops_is_that_of_the_card():
  """G pi_k (c_k - mean), G: the MLP's 8 C^2, and the next block's attention.

  The tokens before get none of it; so a block that keeps all ends it.
  """
  part = token_counts.TokenCounts(untouched=(0, 2))
  own = theta(2)

  def cost(own):
    counts = part.of(own, 16, 4)
    kept = counts.prune, counts.merge
    return part.penalty(token_counts.flops(kept, SIZE, **HOW), 0)

  grads = jax.grad(cost)(own)
  counts = part.of(own, 16, 4)
  flops = float(token_counts.flops((counts.prune, counts.merge), SIZE, **HOW))
  unit, w, c = part.flops_unit, 8, np.array([16, 12, 8, 4])
  outer = 2 * part.weight * (flops / unit - part.target) / unit
  alive = 17
  for row, block in enumerate((1, 3)):
    alive = min(alive, float(counts.prune[block]), float(counts.merge[block]))
    later = 4 * w * w + 4 * alive * w if block < 3 else 0
    for kind in token_counts.KINDS:
      pi = np.asarray(jax.nn.softmax(own[kind][row]))
      want = outer * (8 * w * w + later) * pi * (c - (pi * c).sum())
      np.testing.assert_allclose(grads[kind][row], want, rtol=2e-3)


def test_the_first_steps_may_be_free():
  part = token_counts.TokenCounts(free_steps=3, target=1.0, flops_unit=1.0)
  assert part.penalty(3.0, 2) == 0
  assert part.penalty(3.0, 3) == 20


@pytest.mark.parametrize(
  "fields, words",
  [
    (dict(untouched=(0, 7)), "untouched 7"),
    (dict(untouched=(0, 1, 2, -1)), "no block is left"),
    (dict(granularity=16), "one candidate"),
  ],
)
def test_what_cannot_be_learned(fields, words):
  with pytest.raises(ValueError, match=words):
    token_counts.TokenCounts(**fields).check(16, 4)
