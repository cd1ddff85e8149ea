"""SIGTERM and SIGINT: save at the next step, then leave; a second one ends.

With several processes JAX's preemption service is told: a notice to any of
them (a signal, or maintenance of a TPU) makes all agree on one step.

Python runs a handler only between two of its own instructions, which is never
if the main thread waits for a device or for a host that is gone. So a thread
listens too: the second signal ends such a process as well.
"""

import contextlib
import ctypes
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable
from collections.abc import Iterator

from jax.experimental import multihost_utils

SIGNALS = (signal.SIGTERM, signal.SIGINT)
_PAUSE = 0.3  # seconds after which the thread speaks for the main one


class Asked(BaseException):
  """Ends what may be cut short, such as an evaluation; see `cutting`."""


class Stop:
  """Notes the wish to stop, while it is entered.

  Attributes:
    asked: name of the signal that came, or "".
  """

  def __init__(self, hosts: int = 1):
    """With `hosts` > 1 all processes agree on the step to stop at."""
    self.asked = ""
    self._together, self._cut, self._heard = hosts > 1, False, 0
    self._once, self._undo = threading.Lock(), contextlib.ExitStack()
    self._tell: Callable[[], object] = lambda: None

  def __enter__(self) -> "Stop":
    if threading.current_thread() is threading.main_thread():
      if self._together:
        self._tell = _handler_of_jax(self._undo)
      for number in SIGNALS:
        before = signal.signal(number, self._hear)
        self._undo.callback(signal.signal, number, before or signal.SIG_DFL)
      self._listen()
    return self

  def __exit__(self, *error: object) -> None:
    self._undo.close()

  def _listen(self) -> None:
    """Starts the thread; Python's part in C tells it at once."""
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    before = signal.set_wakeup_fd(theirs.fileno(), warn_on_full_buffer=False)
    thread = threading.Thread(target=self._overhear, args=(ours,), daemon=True)
    thread.start()
    self._undo.callback(thread.join)
    self._undo.callback(theirs.close)  # which ends the thread
    self._undo.callback(signal.set_wakeup_fd, before)

  def _overhear(self, ours: socket.socket) -> None:
    numbers: list[int] = []
    with ours:
      while True:
        try:
          data = ours.recv(16)
        except TimeoutError:
          self._first(numbers[0])
          ours.settimeout(None)
          continue
        numbers += [n for n in data if n in SIGNALS]
        if len(numbers) > 1:
          os._exit(128 + numbers[1])
        if not data:
          return
        if numbers:
          ours.settimeout(_PAUSE)

  def _hear(self, number: int, frame: object) -> None:
    del frame
    self._heard += 1
    if self._heard > 1:
      os._exit(128 + number)
    self._first(number)
    if self._cut and not self._together:
      raise Asked

  def _first(self, number: int) -> None:
    """Notes a signal, in whichever thread comes first."""
    if not self._once.acquire(blocking=False):
      return
    self.asked = name = signal.Signals(number).name
    text = f"\n{name}: saving at the next step; once more ends at once\n"
    os.write(
      sys.stderr.fileno() if _has_number(sys.stderr) else 2, text.encode()
    )
    self._tell()

  def due(self, step: int) -> bool:
    """Whether to save and leave after this step; call it at every step."""
    if self._together and multihost_utils.reached_preemption_sync_point(step):
      self.asked = self.asked or "SIGTERM"
      return True
    return bool(self.asked) and not self._together

  @contextlib.contextmanager
  def cutting(self) -> Iterator[None]:
    """Lets a signal raise `Asked` within; with several processes it cannot.

    Other hosts would wait for ever for the part of this one.
    """
    if self.asked and not self._together:
      raise Asked
    self._cut = True
    try:
      yield
    finally:
      self._cut = False


def _handler_of_jax(undo: contextlib.ExitStack) -> Callable[[], object]:
  """What JAX's preemption service does at SIGTERM; given back by `undo`.

  It is a C function that only notes that the signal came.
  """
  libc = ctypes.CDLL(None)
  libc.signal.restype = ctypes.c_void_p
  libc.signal.argtypes = (ctypes.c_int, ctypes.c_void_p)
  number = int(signal.SIGTERM)
  found = libc.signal(number, None)
  libc.signal(number, found)
  # Python does not know of handlers that were not set through it.
  if found in (None, 0, 1) or callable(signal.getsignal(number)):
    return lambda: None  # there is no service
  undo.callback(libc.signal, number, found)
  handler = ctypes.CFUNCTYPE(None, ctypes.c_int)(found)
  return lambda: handler(number)


def _has_number(stream: object) -> bool:
  try:
    stream.fileno()
  except (AttributeError, OSError):  # replaced, as in a notebook
    return False
  return True
