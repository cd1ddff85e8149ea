"""What a worker process of the pipeline does before it works."""

import contextlib
import multiprocessing
import os
import signal
import threading
import warnings
from collections.abc import Iterator

import cv2

_PARENTS = (signal.SIGINT, signal.SIGTERM)  # what the parent answers to


@contextlib.contextmanager
def hold_signals() -> Iterator[None]:
  """Holds back the parent's signals; processes started here never get them.

  Until `start` has run in a worker, one would end it with a traceback.
  """
  before = signal.pthread_sigmask(signal.SIG_BLOCK, _PARENTS)
  try:
    yield
  finally:
    signal.pthread_sigmask(signal.SIG_SETMASK, before)


def start(worker: int, workers: int) -> None:
  """Ends with its parent, however that ends; leaves its signals to it.

  Args:
    worker: number of this worker.
    workers: how many there are.
  """
  del worker, workers
  one_thread_per_image()
  expect_odd_pictures()
  if threading.current_thread() is threading.main_thread():
    # A terminal or scheduler sends them to the parent too, which saves and
    # then closes the workers in order.
    for number in _PARENTS:
      signal.signal(number, signal.SIG_IGN)
  threading.Thread(target=_follow_parent, daemon=True).start()


def one_thread_per_image() -> None:
  """Keeps OpenCV from splitting an image over threads that are all busy."""
  cv2.setNumThreads(0)


def expect_odd_pictures() -> None:
  """Silences Pillow about files of which `formats` says what is done."""
  warnings.filterwarnings("ignore", module=r"PIL\.")


def _follow_parent() -> None:
  # Nothing else tells: a parent that was killed sends no signal.
  multiprocessing.parent_process().join()
  os._exit(1)
