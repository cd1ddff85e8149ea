"""Against values by hand, and scikit-learn's counts of pairs and entropies."""

import numpy as np
import pytest
import sklearn.metrics
import sklearn.metrics.cluster

from jmim.metrics import segments

LINE = lambda *ids: np.array(ids)
# (truth, guess, split, merge, arand), by hand.
TABLE = [
  # The same, under other names.
  (LINE(1, 1, 2, 2), LINE(5, 5, 3, 3), 0.0, 0.0, 0.0),
  # One cell cut in two halves: a bit of split. Pairs: of 6 in the truth 2
  # are together in the guess, where all are right: P = 1, R = 1/3.
  (LINE(1, 1, 1, 1), LINE(1, 1, 2, 2), 1.0, 0.0, 0.5),
  # Two cells merged: the other way round.
  (LINE(1, 1, 2, 2), LINE(1, 1, 1, 1), 0.0, 1.0, 0.5),
  # Independent halves: a bit of each; no pair in common.
  (LINE(1, 1, 2, 2), LINE(1, 2, 1, 2), 1.0, 1.0, 1.0),
  # Voxels of no cell do not count.
  (LINE(0, 0, 1, 1, 2, 2), LINE(9, 1, 1, 1, 2, 2), 0.0, 0.0, 0.0),
  # A quarter lost: H(1/4) = 0.811 of the halves of cell 1; P = 1/1, R = 3/6.
  (LINE(1, 1, 1, 1), LINE(1, 1, 1, 2), 0.8112781, 0.0, 1 / 3),
]


@pytest.mark.parametrize(("truth", "guess", "split", "merge", "rand"), TABLE)
def test_values_by_hand(truth, guess, split, merge, rand):
  found = segments.variation_of_information(truth, guess)
  np.testing.assert_allclose(found, (split, merge), atol=1e-6)
  assert segments.adapted_rand_error(truth, guess) == pytest.approx(rand)


@pytest.mark.parametrize("seed", [0, 1])
def test_values_of_scikit_learn(seed):
  rng = np.random.default_rng(seed)
  truth, guess = rng.integers(0, 6, (2, 4, 10, 10))
  guess = np.where(rng.random(truth.shape) < 0.6, truth, guess)
  inside = truth > 0
  a, b = truth[inside], guess[inside]
  mutual = sklearn.metrics.mutual_info_score(a, b) / np.log(2)
  entropy = lambda x: (
    -sum(p * np.log2(p) for p in np.unique(x, return_counts=True)[1] / len(x))
  )
  split, merge = segments.variation_of_information(truth, guess)
  assert split == pytest.approx(entropy(b) - mutual)
  assert merge == pytest.approx(entropy(a) - mutual)
  ((_, fp), (fn, tp)) = sklearn.metrics.cluster.pair_confusion_matrix(a, b)
  assert segments.adapted_rand_error(truth, guess) == pytest.approx(
    1 - 2 * tp / (2 * tp + fp + fn)
  )


def cells(shape=(4, 6, 6)):
  """Four blocks in a plane, and nothing in the last row."""
  found = np.zeros(shape, int)
  found[:, :3, :3], found[:, :3, 3:] = 1, 2
  found[:, 3:5, :3], found[:, 3:5, 3:] = 3, 4
  return found


def test_true_affinities_give_the_cells_back():
  truth = cells()
  affinity = segments.affinities(truth)
  assert affinity[1, 0, 3].sum() == 0 and affinity[1, 0, 2].sum() == 6
  assert not affinity[0, 0].any() and not affinity[:, :, 5].any()
  basins = segments.fragments(affinity)
  np.testing.assert_array_equal(basins == 0, truth == 0)
  made = segments.agglomerate(basins, affinity, 0.5)
  assert segments.variation_of_information(truth, made) == (0, 0)
  assert segments.adapted_rand_error(truth, made) == 0


def test_noisy_affinities_give_more_basins_which_merge():
  rng = np.random.default_rng(0)
  truth = cells()
  affinity = segments.affinities(truth) * 0.6 + 0.2
  affinity = affinity + rng.uniform(-0.15, 0.15, affinity.shape)
  basins = segments.fragments(affinity)
  assert len(np.unique(basins)) > 10
  split, merge = segments.variation_of_information(truth, basins)
  assert split > 0.5 and merge == 0
  made = segments.agglomerate(basins, affinity, 0.5)
  assert segments.adapted_rand_error(truth, made) == pytest.approx(0)
  one = segments.agglomerate(basins, affinity, 0.0)
  assert len(np.unique(one)) == 1
  none = segments.agglomerate(basins, affinity, 1.0)
  np.testing.assert_array_equal(none, basins)


def test_a_voxel_joins_its_surest_neighbour_only():
  affinity = np.zeros((3, 1, 1, 5), np.float32)
  affinity[2, 0, 0] = [0.0, 0.9, 0.2, 0.8, 0.3]
  assert segments.fragments(affinity).ravel().tolist() == [1, 1, 2, 2, 2]
  high = segments.fragments(affinity, high=0.2).ravel().tolist()
  assert high == [1] * 5
  low = segments.fragments(affinity, low=0.85).ravel().tolist()
  assert low[2:] == [0, 0, 0] and low[0] == low[1] > 0


def test_means_are_of_all_edges_between_two_regions():
  """0 and 1 have two edges of mean 0.5; 1 and 2 one of 0.6, which is first.

  Merged, 0 has three with them: (0.2 + 0.8 + 0.2) / 3 = 0.4.
  """
  basins = np.array([[[1, 2], [1, 2], [1, 3]]])
  affinity = np.zeros((3, 1, 3, 2), np.float32)
  affinity[2, 0, :, 1] = [0.2, 0.8, 0.2]
  affinity[1, 0, 2, 1] = 0.6
  two = segments.agglomerate(basins, affinity, 0.45)
  assert (two[0, :, 0] == 1).all() and len(np.unique(two[0, :, 1])) == 1
  assert len(np.unique(two)) == 2
  assert len(np.unique(segments.agglomerate(basins, affinity, 0.39))) == 1


def test_as_many_segments_as_voxels_take_the_memory_of_the_voxels():
  """Dense, the counts of these would be 80 GB."""
  truth = np.repeat(np.arange(1, 100_001), 4).reshape(4, 100, 1000)
  alone = np.arange(truth.size).reshape(truth.shape)
  split, merge = segments.variation_of_information(truth, alone)
  assert (split, merge) == (pytest.approx(2.0), 0)
  assert segments.adapted_rand_error(truth, alone) == 1
  assert segments.variation_of_information(alone, truth)[1] > 1.99


def test_counts_are_those_of_the_table():
  counts = segments.contingency(LINE(0, 1, 1, 2, 2), LINE(7, 7, 8, 8, 8))
  np.testing.assert_array_equal(counts.toarray(), [[1, 0], [1, 2]])
  nothing = LINE(0, 0)
  assert segments.variation_of_information(nothing, nothing) == (0, 0)
  assert segments.adapted_rand_error(nothing, nothing) == 0
