"""Work of a batch, by several threads."""

import pickle
import threading
import time

import pytest

from jmim.data import pool


@pytest.mark.parametrize("threads", [0, 1, 2, 5])
@pytest.mark.parametrize("n", [0, 1, 2, 17, 40])
def test_results_come_in_order(threads, n):
  workers = pool.Pool(threads)
  assert workers.map(lambda i: i * i, range(n)) == [i * i for i in range(n)]
  workers.stop()


def test_all_threads_work_at_once():
  workers, together = pool.Pool(4), threading.Barrier(4, timeout=60)
  workers.map(lambda _: together.wait(), range(4))  # else: BrokenBarrierError
  workers.stop()


@pytest.mark.parametrize("threads", [1, 4])
def test_the_first_of_several_errors_is_raised(threads):
  def work(i):
    if i == 3:
      time.sleep(0.2)  # later in time than 5, and before it in order
    if i in (3, 5, 6):
      raise ValueError(i)

  workers = pool.Pool(threads)
  with pytest.raises(ValueError, match="^3$"):
    workers.map(work, range(8))
  workers.stop()


def test_a_copy_has_threads_of_its_own():
  workers = pool.Pool(2)
  workers.map(abs, range(3))
  copy = pickle.loads(pickle.dumps(workers))
  workers.stop()
  assert copy.map(abs, range(3)) == [0, 1, 2]
  copy.stop()
