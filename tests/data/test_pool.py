"""Work of a batch, by several threads."""

import pickle
import threading
import time

import pytest

from jmim.data import pool


@pytest.fixture(params=[1, 2, 64], autouse=True)
def cores(request, monkeypatch):
  """Cores of the machine, as far as the pool knows."""
  known = lambda self: request.param // self._processes or 1
  monkeypatch.setattr(pool.Pool, "_cores", property(known))
  return request.param


@pytest.mark.parametrize("threads", [0, 1, 2, 5])
@pytest.mark.parametrize("n", [0, 1, 2, 17, 40])
@pytest.mark.parametrize("fetched", [False, True])
def test_results_come_in_order(threads, n, fetched):
  workers = pool.Pool(threads)
  if fetched:
    found = workers.map(lambda i: 10 * i, lambda i, x: i + x, range(n))
  else:
    found = workers.map(None, lambda i: 11 * i, range(n))
  assert found == [11 * i for i in range(n)]
  workers.stop()


def test_all_threads_wait_at_once():
  workers, together = pool.Pool(4), threading.Barrier(4, timeout=60)
  wait = lambda i: together.wait()  # else: BrokenBarrierError
  workers.map(wait, lambda i, _: i, range(4))
  workers.stop()


@pytest.mark.parametrize("threads", [2, 8])
def test_no_more_compute_than_there_are_cores(threads, cores):
  lock, now, most = threading.Lock(), set(), []

  def work(i):
    me = threading.get_ident()
    with lock:
      now.add(me)
      most.append(len(now))
    time.sleep(0.001)
    with lock:
      now.discard(me)

  workers = pool.Pool(threads)
  workers.map(None, work, range(40))
  assert max(most) <= min(cores, threads)
  workers.stop()


def test_processes_share_the_cores(cores):
  assert pool.Pool(8, processes=4)._cores == max(1, cores // 4)


@pytest.mark.parametrize("threads", [1, 4])
@pytest.mark.parametrize("where", ["fetch", "work"])
def test_the_first_of_several_errors_is_raised(threads, where):
  def fail(i):
    if i == 3:
      time.sleep(0.05)  # later in time than 5, and before it in order
    if i in (3, 5, 6):
      raise ValueError(i)

  fetch = fail if where == "fetch" else lambda i: None
  work = (lambda i, x: None) if where == "fetch" else lambda i, x: fail(i)
  workers = pool.Pool(threads)
  with pytest.raises(ValueError, match="^3$"):
    workers.map(fetch, work, range(8))
  workers.stop()


def test_a_copy_has_threads_of_its_own():
  workers = pool.Pool(2)
  workers.map(None, abs, range(3))
  copy = pickle.loads(pickle.dumps(workers))
  workers.stop()
  assert copy.map(None, abs, range(3)) == [0, 1, 2]
  copy.stop()
