import jax
import jax.numpy as jnp
import numpy as np

from jmim.core import randomness
from jmim.methods.parts import candidates

B, J, SIDE = 3, 2, 6


def heat(seed=0):
  rng = np.random.default_rng(seed)
  return jnp.asarray(rng.normal(size=(B, J, SIDE, SIDE)), jnp.float32)


def test_the_best_cell_is_first_and_values_are_as_they_are():
  part, maps = candidates.Candidates(count=4), heat() - 9.0
  draws = part.draw(randomness.Keys(jax.random.key(0)), (B, J))
  places, likelihood = part.of(maps, draws["cell"])
  assert places.shape == (B, J, 4, 2)
  flat = np.asarray(maps).reshape(B, J, -1)
  np.testing.assert_allclose(likelihood[..., 0], flat.max(-1))  # negative
  at = np.rint(np.asarray(places + 1) * SIDE / 2).astype(int)
  for b, j in np.ndindex(B, J):
    np.testing.assert_allclose(
      likelihood[b, j], np.asarray(maps)[b, j, at[b, j, :, 1], at[b, j, :, 0]]
    )


def test_one_candidate_is_the_best_and_needs_no_numbers():
  part = candidates.Candidates(count=1, drop=0.0)
  assert part.draw(randomness.Keys(jax.random.key(0)), (B, J)) == {}
  alone, _ = part.of(heat(), None)
  sets = part.sets(jax.random.key(0), jnp.arange(B), (2, J))
  again, _ = part.of(heat(), sets[1])
  np.testing.assert_array_equal(alone, again)


def test_so_many_joints_are_dropped():
  part = candidates.Candidates(drop=0.25)
  draws = part.draw(randomness.Keys(jax.random.key(2)), (2000, J))
  kept = part.kept(draws)
  assert set(np.unique(kept)) == {0.0, 1.0}
  assert abs(kept.mean() - 0.75) < 0.03
  assert part.kept({}) is None


def test_sets_are_slices_of_one_draw_that_belongs_to_an_example():
  part, key = candidates.Candidates(count=4), jax.random.key(3)
  numbers = jnp.asarray([7, 2, 9])
  sets = part.sets(key, numbers, (5, J))
  assert sets.shape == (5, B, J, 3)
  other = part.sets(key, numbers[::-1], (5, J))
  np.testing.assert_array_equal(sets, other[:, ::-1])
  assert len(np.unique(sets)) == sets.size
