"""Work of one batch, spread over the threads of this process."""

import functools
import itertools
import os
from collections.abc import Callable
from collections.abc import Sequence
from concurrent import futures
from typing import Any
from typing import TypeVar

T = TypeVar("T")
# Pieces of work per thread that computes: few, as each costs what a tiny image
# does; more than one, as some take longer and the others would wait.
_PIECES = 4


class Pool:
  """Threads that share the work on a batch; started when first needed.

  As many compute as there are cores; others only wait for disks. More that
  compute would keep cores idle: after each call that gives Python's lock back
  a thread stands in line for it, and the line moves once per change of threads
  (with 16 on two cores half the images of two threads).

  Copies for other processes start threads of their own.
  """

  def __init__(self, count: int, processes: int = 1):
    """Prepares; starts nothing.

    Args:
      count: threads; below 2 the caller does the work itself.
      processes: that do such work on this machine at the same time.
    """
    self._count, self._processes = count, processes

  def __getstate__(self) -> dict[str, Any]:
    return {"_count": self._count, "_processes": self._processes}

  def map(
    self,
    fetch: Callable[[int], Any] | None,
    work: Callable[..., T],
    items: Sequence[int],
  ) -> list[T]:
    """`work(item, fetch(item))` of every item, in order, by all threads.

    May be called by several threads, whose items queue up; not by `work`.

    Args:
      fetch: waits for a disk, say; None: nothing is waited for, `work(item)`.
      work: computes; safe to call from many threads, as `fetch`.
      items: in the order of the result.

    Raises:
      Exception: the error of the first item that has one, whatever the
        number of threads.
    """
    both = work if fetch is None else lambda i: work(i, fetch(i))
    if self._count < 2 or len(items) < 2:
      return [both(i) for i in items]
    pieces = max(self._count, _PIECES * min(self._count, self._cores))
    size = -(-len(items) // pieces)
    pieces = [items[i : i + size] for i in range(0, len(items), size)]
    if fetch is None or self._count <= self._cores:
      done = self._computing.map(lambda piece: [both(i) for i in piece], pieces)
    else:
      read = lambda piece: [fetch(i) for i in piece]
      ahead = [self._waiting.submit(read, piece) for piece in pieces]
      rest = lambda piece, read: [*map(work, piece, read.result())]
      done = self._computing.map(rest, pieces, ahead)
    return [*itertools.chain.from_iterable(done)]

  @functools.cached_property
  def _cores(self) -> int:
    """Of this machine, for this process."""
    known = hasattr(os, "sched_getaffinity")
    cores = len(os.sched_getaffinity(0)) if known else os.cpu_count() or 1
    return max(1, cores // self._processes)

  @functools.cached_property
  def _computing(self) -> futures.ThreadPoolExecutor:
    count = min(self._count, self._cores)
    return futures.ThreadPoolExecutor(count, "jmim-decode")

  @functools.cached_property
  def _waiting(self) -> futures.ThreadPoolExecutor:
    return futures.ThreadPoolExecutor(self._count, "jmim-read")

  def stop(self) -> None:
    """Ends the threads; work that has not begun is given up."""
    for name in ("_waiting", "_computing"):
      if name in self.__dict__:
        getattr(self, name).shutdown(wait=False, cancel_futures=True)
