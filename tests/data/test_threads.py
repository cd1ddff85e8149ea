import threading
import time

import pytest

from jmim.data import threads


def test_the_order_is_that_of_the_items():
  def read(i):
    time.sleep(0.02 * (i % 3 == 0))
    return -i

  assert threads.each(range(40), read) == [-i for i in range(40)]
  assert threads.each([], read) == []


def test_they_wait_together():
  """Each of eight goes on only when all of them have begun."""
  barrier = threading.Barrier(8, timeout=10)
  assert sorted(threads.each(range(8), lambda i: barrier.wait())) == [*range(8)]


def test_one_alone_needs_no_thread():
  assert threads.each([3], lambda i: threading.current_thread()) == [
    threading.current_thread()
  ]


def test_the_first_error_is_raised():
  """By the order of the items, not of time."""

  def read(i):
    time.sleep(0.1 * (i == 2))
    if i in (2, 5):
      raise ValueError(f"item {i}")

  with pytest.raises(ValueError, match="item 2"):
    threads.each(range(8), read)
