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
def test_permutation_is_a_bijection(n, seed, epoch):
  np.testing.assert_array_equal(np.sort(_whole(n, seed, epoch)), np.arange(n))


@hypothesis.given(st.integers(30, 500), _SEEDS, _EPOCHS)
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
def test_stream_visits_each_example_once_per_epoch(n, batch, seed, shuffle):
  stream = order.Order(n, batch, seed, shuffle)
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
  stream = order.Order(50000, 256, seed=1)
  index = np.concatenate([stream.slots(step)[1] for step in range(196)])
  assert np.unique(index[:50000]).size == 50000


def test_far_into_a_billion_examples():
  epoch, index = order.Order(10**9, 4096, seed=5).slots(10**6)
  assert epoch.dtype == index.dtype == np.int64
  position = 10**6 * 4096 + np.arange(4096)
  np.testing.assert_array_equal(epoch, position // 10**9)
  assert np.unique(index).size == 4096
  assert 0 <= index.min() and index.max() < 10**9
  # Spread over the whole range, not over the part that 32 bits would reach.
  assert stats.kstest(index / 10**9, "uniform").pvalue > 1e-3


@hypothesis.given(st.integers(1, 40), st.integers(1, 16))
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
    order.Order(10, 0, 0)
  assert caught.value.key == "data.batch"
  with pytest.raises(errors.UserError) as caught:
    order.Order(0, 10, 0)
  assert caught.value.key == "data.name"
