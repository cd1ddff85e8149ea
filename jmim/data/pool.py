"""Work of one batch, spread over the threads of this process."""

import functools
import itertools
from collections.abc import Callable
from collections.abc import Sequence
from concurrent import futures
from typing import Any
from typing import TypeVar

T = TypeVar("T")
# Pieces of work per thread: few, as each costs what a tiny image does; more
# than one, as some take longer and the others would wait.
_PIECES = 4


class Pool:
  """Threads that share the work on a batch; started when first needed.

  Copies for other processes start threads of their own.
  """

  def __init__(self, count: int):
    """Args: count: threads; below 2 the caller does the work itself."""
    self._count = count

  def __getstate__(self) -> dict[str, Any]:
    return {"_count": self._count}

  def map(self, work: Callable[[int], T], items: Sequence[int]) -> list[T]:
    """`work` of every item, in order, by all threads.

    May be called by several threads, whose items queue up; not by `work`.

    Args:
      work: of one item; safe to call from many threads.
      items: in the order of the result.

    Raises:
      Exception: the error of the first item that has one, whatever the
        number of threads.
    """
    if self._count < 2 or len(items) < 2:
      return [work(i) for i in items]
    size = -(-len(items) // (_PIECES * self._count))
    pieces = [items[i : i + size] for i in range(0, len(items), size)]
    done = self._executor.map(lambda piece: [work(i) for i in piece], pieces)
    return [*itertools.chain.from_iterable(done)]

  @functools.cached_property
  def _executor(self) -> futures.ThreadPoolExecutor:
    return futures.ThreadPoolExecutor(self._count, "jmim-decode")

  def stop(self) -> None:
    """Ends the threads; work that has not begun is given up."""
    if "_executor" in self.__dict__:
      self._executor.shutdown(wait=False, cancel_futures=True)
