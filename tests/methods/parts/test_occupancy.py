import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import field
from jmim.core import randomness
from jmim.methods.parts import occupancy
from jmim.nn import voxels

PART = occupancy.Occupancy(occupied_share=0.5, empty_share=0.75)
B, POINTS, SIDE, PATCH = 4, 30, 8, 2
N = (SIDE // PATCH) ** 3


def clouds(seed=0):
  rng = np.random.default_rng(seed)
  points = rng.normal(size=(B, POINTS, 3)).astype(np.float32)
  points[0] *= (1, 0.01, 0.01)  # a stick: few patches
  return voxels.of(jnp.asarray(points), SIDE)


def drawn(part, key=0):
  return part.draw(randomness.Keys(jax.random.key(key)), (B, N))


def test_a_patch_is_occupied_if_a_point_is_in_it():
  vox = clouds()
  filled = np.asarray(occupancy.filled(vox.count, PATCH))
  for b in range(B):
    cells = np.rint(np.asarray(vox.coords[b])).astype(int) // PATCH
    assert set(np.nonzero(filled[b])[0]) == {
      (x * 4 + y) * 4 + z for x, y, z in cells
    }
  assert filled[0].sum() < filled[1].sum()


def test_the_published_numbers_of_slots():
  # R 128, patch 8, 2048 points: 4096 patches.
  assert occupancy.Occupancy().slots(16**3, 2048) == (103, 41)
  some = occupancy.Occupancy(occupied_budget=8, empty_budget=4)
  assert some.slots(512, 256) == (8, 4)


@pytest.mark.parametrize("aware", [True, False])
def test_either_way_there_are_as_many_slots(aware):
  part = field.replace(PART, aware=aware)
  kept = part.keep(drawn(part), clouds(), PATCH)
  assert kept.keep.shape == (B, sum(PART.slots(N, POINTS)))
  filled = np.asarray(occupancy.filled(clouds().count, PATCH))
  seen = np.asarray(kept.visible)
  if aware:
    n_f = filled.sum(1)
    np.testing.assert_array_equal((seen & filled).sum(1), n_f - n_f // 2)
  else:
    assert kept.valid.all() and (seen.sum(1) == kept.keep.shape[1]).all()


def test_nothing_hidden_draws_nothing_and_keeps_all():
  part = occupancy.Occupancy(occupied_share=0.0, empty_share=0.0)
  assert not part.hides and drawn(part) == {}
  assert part.keep({}, clouds(), PATCH) is None
