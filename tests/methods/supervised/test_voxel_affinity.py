import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import field
from jmim.core import method as methods
from jmim.methods.supervised import voxel_affinity
from jmim.metrics import segments

KEY, B = jax.random.key(0), 2
TINY = voxel_affinity.VoxelAffinity.tiny()


@pytest.fixture(scope="module")
def batch():
  rng = np.random.default_rng(0)
  return {
    "volume": rng.random((B, *TINY.shape), dtype=np.float32),
    "cells": rng.integers(0, 3, (B, *TINY.shape)).astype(np.int32),
  }


@pytest.fixture(scope="module")
def weights(fill, batch):
  return methods.Weights(fill(TINY, batch, seed=2, scale=0.4)[0])


@pytest.fixture(scope="module")
def logits(batch, weights):
  return np.asarray(jax.jit(TINY.outputs)(weights, batch["volume"])["out"])


def test_edges_are_those_that_measures_know(batch):
  same, there = voxel_affinity.edges(jnp.asarray(batch["cells"]))
  for i in range(B):
    want = segments.affinities(batch["cells"][i])
    np.testing.assert_array_equal(np.moveaxis(same[i], -1, 0), want)
  # The first voxels of an axis have none before them, wherever one cell ends.
  for axis in range(3):
    first = np.take(np.asarray(there)[..., axis], 0, axis)
    assert not first.any()
  assert there.sum() == 3 * 6 * 6 + 2 * 4 * 5 * 6
  ones, _ = voxel_affinity.edges(jnp.ones((1, *TINY.shape), int))
  np.testing.assert_array_equal(ones[0], there)


def by_hand(method, logits, cells):
  """The loss in float64, edge by edge."""
  p = 1 / (1 + np.exp(-logits.astype(np.float64)))
  rows = []
  for i in range(B):
    errors = {0: [], 1: []}
    for at in np.ndindex(cells.shape[1:]):
      for axis in range(3):
        if not at[axis]:
          continue
        before = tuple(n - (a == axis) for a, n in enumerate(at))
        same = int(cells[i][at] == cells[i][before] > 0)
        q = p[i][at][axis]
        bce = -np.log(q if same else 1 - q)
        square = (q - same) ** 2
        errors[same].append(bce if method.criterion == "bce" else square)
    if method.balanced:
      share = len(errors[1]) / (len(errors[0]) + len(errors[1]))
      share = min(max(share, 0.05), 0.99)
      each = ((1 - share, errors[0]), (share, errors[1]))
      total = sum(len(e) / s for s, e in each)
      rows.append(sum(np.sum(e) / s for s, e in each) / total)
    else:
      rows.append(np.mean(errors[0] + errors[1]))
  return np.mean(rows)


@pytest.mark.parametrize(
  "changes",
  [
    {},
    {"balanced": False},
    {"criterion": "mse"},
    {"criterion": "mse", "balanced": False},
  ],
)
def test_the_loss_is_the_mean_over_edges(batch, weights, logits, changes):
  method = dataclasses.replace(TINY, **changes)
  loss, aux = jax.jit(method.loss)(weights, batch, {}, 0)
  want = by_hand(method, logits, batch["cells"])
  np.testing.assert_allclose(loss, want, rtol=1e-4)
  same, there = voxel_affinity.edges(batch["cells"])
  right = ((logits > 0) == same)[:, there].mean()
  np.testing.assert_allclose(aux["edges_right"], right, rtol=1e-5)


@pytest.mark.parametrize("criterion", ["bce", "mse"])
def test_both_kinds_of_edges_weigh_the_same_unless_one_is_rare(
  batch, weights, logits, criterion
):
  method = dataclasses.replace(TINY, criterion=criterion)
  plain = dataclasses.replace(method, balanced=False)
  p = 1 / (1 + np.exp(-logits))
  same, there = (np.asarray(x) for x in voxel_affinity.edges(batch["cells"]))
  error = -np.log(np.where(same, p, 1 - p))
  error = error if criterion == "bce" else (p - same) ** 2
  halves = [
    np.mean([error[i][kind[i] & there].mean() for kind in (same, ~same)])
    for i in range(B)
  ]
  loss = lambda m, b: jax.jit(m.loss)(weights, b, {}, 0)[0]
  np.testing.assert_allclose(loss(method, batch), np.mean(halves), rtol=1e-4)
  # One cell alone, and none: nothing to balance.
  for fill in (1, 0):
    one = batch | {"cells": np.full_like(batch["cells"], fill)}
    np.testing.assert_allclose(loss(method, one), loss(plain, one), rtol=1e-5)
  # Two voxels of nothing: a rare kind weighs what a hundredth would.
  rare = np.ones_like(batch["cells"])
  rare[:, 0, 0, 0] = 0
  want = by_hand(method, logits, rare)
  found = loss(method, batch | {"cells": rare})
  np.testing.assert_allclose(found, want, rtol=1e-4)


def test_larger_volumes_are_read_in_windows_and_scored_in_the_middle(
  batch, weights, logits
):
  rng = np.random.default_rng(1)
  large = rng.random((B, 6, 6, 8), dtype=np.float32)
  large[:, 1:5, :, 1:7] = batch["volume"]
  cells = np.zeros(large.shape, np.int32)
  cells[:, 1:5, :, 1:7] = batch["cells"]
  more = {"volume": large, "cells": cells}
  one, _ = jax.jit(TINY.loss)(weights, batch, {}, 0)
  other, _ = jax.jit(TINY.loss)(weights, more, {}, 0)
  np.testing.assert_allclose(other, one, rtol=1e-5)
  predict = TINY.predict()["affinities"]
  small = jax.jit(predict)(weights, batch, KEY)
  np.testing.assert_allclose(small, 1 / (1 + np.exp(-logits)), rtol=1e-4)
  whole = np.asarray(jax.jit(predict)(weights, more, KEY))
  assert whole.shape == (*large.shape, 3) and 0 < whole.min() < whole.max() < 1
  # Corners of the volume are in one window only.
  corner = {"volume": large[:, :4, :, :6], "cells": cells[:, :4, :, :6]}
  first = jax.jit(predict)(weights, corner, KEY)
  np.testing.assert_allclose(whole[:, 0, :, 0], first[:, 0, :, 0], rtol=1e-4)
  voxels = jax.jit(TINY.predict()["voxels"])(weights, more, KEY)
  assert voxels.shape == (*large.shape, 8)


@pytest.mark.parametrize(
  ("changes", "said"),
  [
    (dict(shape=(4, 6)), "three numbers"),
    (dict(shape=(4, 6, 7)), "multiples of 2"),
    (dict(dims={"slices": 4}), "dims.slices=4"),
  ],
)
def test_windows_that_no_network_reads_are_errors(changes, said):
  with pytest.raises(ValueError, match=said):
    field.replace(TINY, **changes).inputs()
