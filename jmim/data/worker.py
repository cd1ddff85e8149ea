"""What a worker process of the pipeline does before it works."""

import multiprocessing
import os
import signal
import threading

import cv2


def start(worker: int, workers: int) -> None:
  """Ends with its parent, however that ends; leaves Ctrl-C to it.

  Args:
    worker: number of this worker.
    workers: how many there are.
  """
  del worker, workers
  one_thread_per_image()
  if threading.current_thread() is threading.main_thread():
    # The parent gets it too, and closes the workers in order.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
  threading.Thread(target=_follow_parent, daemon=True).start()


def one_thread_per_image() -> None:
  """Keeps OpenCV from splitting an image over threads that are all busy."""
  cv2.setNumThreads(0)


def _follow_parent() -> None:
  # Nothing else tells: a parent that was killed sends no signal.
  multiprocessing.parent_process().join()
  os._exit(1)
