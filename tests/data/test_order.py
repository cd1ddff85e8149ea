import itertools
import math

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st
from scipy import stats

from jmim.core import errors
from jmim.data import order

_SEEDS = st.integers(-(2**70), 2**70)
_EPOCHS = st.integers(0, 2**40)


def _whole(n, seed, epoch):
  return order.permutation(n, seed, epoch, np.arange(n))


@hypothesis.given(st.integers(1, 3000), _SEEDS, _EPOCHS)
@hypothesis.settings(deadline=None)
def test_permutation_is_a_bijection(n, seed, epoch):
  np.testing.assert_array_equal(np.sort(_whole(n, seed, epoch)), np.arange(n))


@hypothesis.given(st.integers(30, 500), _SEEDS, _EPOCHS)
@hypothesis.settings(deadline=None)
def test_epochs_and_seeds_differ(n, seed, epoch):
  here = _whole(n, seed, epoch)
  assert (here != _whole(n, seed, epoch + 1)).any()
  assert (here != _whole(n, seed + 1, epoch)).any()
  assert (here != np.arange(n)).any()


@pytest.mark.parametrize("n", [2, 3, 4, 5])
def test_all_orders_of_few_examples_are_equally_likely(n):
  epochs = np.arange(400 * math.factorial(n))[:, None]
  orders = order.permutation(n, 7, epochs, np.arange(n)[None])
  counts = np.unique(orders, axis=0, return_counts=True)[1]
  assert len(counts) == math.factorial(n)
  assert stats.chisquare(counts).pvalue > 1e-3


@pytest.mark.parametrize("n", [16, 50, 101])
def test_every_example_is_as_likely_in_every_place(n):
  epochs = 50 * n
  orders = order.permutation(n, 3, np.arange(epochs)[:, None], np.arange(n))
  table = np.zeros((n, n))
  np.add.at(table, (np.broadcast_to(np.arange(n), orders.shape), orders), 1)
  statistic = ((table - epochs / n) ** 2 / (epochs / n)).sum()
  assert stats.chi2.sf(statistic, (n - 1) ** 2) > 1e-3


def test_neighbours_are_unrelated():
  n = 1000
  steps = np.diff(_whole(10**6, 0, 0)) % n
  assert stats.chisquare(np.bincount(steps, minlength=n)).pvalue > 1e-3


def test_the_order_never_changes():
  # Runs in flight resume by recomputing it: a change here is a breaking one.
  assert _whole(10, 0, 0).tolist() == [1, 9, 2, 4, 8, 6, 3, 0, 5, 7]
  far = order.permutation(10**9, 42, 3, np.arange(4) + 10**8)
  assert far.tolist() == [593900412, 262504774, 157386981, 698454331]


@hypothesis.given(st.integers(1, 60), st.integers(1, 80), _SEEDS, st.booleans())
@hypothesis.settings(deadline=None)
def test_stream_visits_each_example_once_per_epoch(n, batch, seed, shuffle):
  stream = order.Order(n=n, batch=batch, seed=seed, shuffle=shuffle)
  steps = -(-3 * n // batch)
  slots = [stream.slots(step) for step in range(steps)]
  epoch, index = (
    np.concatenate(part)[: 3 * n] for part in zip(*slots, strict=True)
  )
  np.testing.assert_array_equal(epoch, np.repeat([0, 1, 2], n))
  for e in range(3):
    seen = index[e * n : (e + 1) * n]
    np.testing.assert_array_equal(np.sort(seen), np.arange(n))
    expected = _whole(n, seed, e) if shuffle else np.arange(n)
    np.testing.assert_array_equal(seen, expected)


def test_an_epoch_of_50000_in_batches_of_256():
  stream = order.Order(n=50000, batch=256, seed=1)
  index = np.concatenate([stream.slots(step)[1] for step in range(196)])
  assert np.unique(index[:50000]).size == 50000


def test_far_into_a_billion_examples():
  epoch, index = order.Order(n=10**9, batch=4096, seed=5).slots(10**6)
  assert epoch.dtype == index.dtype == np.int64
  position = 10**6 * 4096 + np.arange(4096)
  np.testing.assert_array_equal(epoch, position // 10**9)
  assert np.unique(index).size == 4096
  assert 0 <= index.min() and index.max() < 10**9
  # Spread over the whole range, not over the part that 32 bits would reach.
  assert stats.kstest(index / 10**9, "uniform").pvalue > 1e-3


def _parts(sizes, batch, repeat=1):
  return tuple(
    order.Order(n=n, batch=batch, seed=seed, repeat=repeat)
    for seed, n in enumerate(sizes)
  )


def test_mixture_holds_to_its_weights_and_to_every_epoch():
  mixture = order.Mixture(_parts((50, 3000), 100), (0.3, 0.7), seed=5)
  slots = [mixture.slots(step) for step in range(200)]
  epoch, index = (np.concatenate(part) for part in zip(*slots, strict=True))
  first = index < 50
  for block in range(2):
    assert first[10_000 * block :][:10_000].sum() == 3000
  # In the long run and in the short: 30 % of each batch, as drawn at random.
  assert stats.binomtest(int(first[:100].sum()), 100, 0.3).pvalue > 1e-3
  for chosen, n, start in ((first, 50, 0), (~first, 3000, 50)):
    seen = index[chosen] - start
    assert seen.min() == 0 and seen.max() == n - 1
    for e in range(len(seen) // n):
      np.testing.assert_array_equal(
        np.sort(seen[epoch[chosen] == e]), np.arange(n)
      )


def test_mixture_may_start_anywhere():
  mixture = order.Mixture(_parts((7, 11, 13), 6, repeat=2), (1, 2, 3), seed=0)
  _, index = mixture.slots(10**9)
  np.testing.assert_array_equal(index[::2], index[1::2])
  assert 0 <= index.min() and index.max() < 31
  assert mixture.quotas.tolist() == [1667, 3333, 5000]
  with pytest.raises(errors.UserError) as caught:
    order.Mixture(_parts((7, 11), 6), (1, 1e-6), seed=0)
  assert caught.value.key == "data.mixture"


def test_a_dropped_remainder_leaves_whole_batches_per_epoch():
  stream = order.Order(n=23, batch=8, seed=3, drop=True)
  assert stream.epoch_examples == 16
  left = set()
  for e in range(60):
    slots = [stream.slots(2 * e + i) for i in range(2)]
    epoch, index = (np.concatenate(part) for part in zip(*slots, strict=True))
    assert (epoch == e).all() and np.unique(index).size == 16
    left |= set(range(23)) - set(index.tolist())
  assert left == set(range(23))  # not always the same ones
  with pytest.raises(errors.UserError) as caught:
    order.Order(n=5, batch=8, seed=0, drop=True)
  assert caught.value.key == "data.remainder"


@hypothesis.given(st.integers(1, 40), st.integers(1, 16))
@hypothesis.settings(deadline=None)
def test_host_slices_partition_the_batch(local, hosts):
  batch = local * hosts
  parts = [
    np.arange(batch)[order.host_slice(batch, h, hosts)] for h in range(hosts)
  ]
  assert all(len(part) == local for part in parts)
  np.testing.assert_array_equal(list(itertools.chain(*parts)), np.arange(batch))


def test_mistakes_name_the_key():
  with pytest.raises(errors.UserError) as caught:
    order.host_slice(10, 0, 4)
  assert caught.value.key == "data.batch"
  with pytest.raises(errors.UserError) as caught:
    order.Order(n=10, batch=0, seed=0)
  assert caught.value.key == "data.batch"
  with pytest.raises(errors.UserError) as caught:
    order.Order(n=0, batch=10, seed=0)
  assert caught.value.key == "data.name"
