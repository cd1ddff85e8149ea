"""SIGTERM and SIGINT: save at the next step, then leave; a second one ends.

With several processes the signal goes on to JAX's preemption service: a notice
to any of them (a signal, or maintenance of a TPU) makes all agree on one step.

Python runs a handler only between two of its own instructions, which is never
if the main thread waits for a device or for a host that is gone. So a thread
listens too: the second signal ends such a process as well.
"""

import contextlib
import ctypes
import functools
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable
from collections.abc import Iterator

from jax.experimental import multihost_utils

from jmim.core import errors

SIGNALS = (signal.SIGTERM, signal.SIGINT)
_PAUSE = 0.3  # seconds after which the thread acts for the main one


class Signalled(BaseException):
  """Ends what may be cut short, such as an evaluation; see `cutting`."""


class Stop:
  """Remembers the first signal that comes while it is entered.

  Attributes:
    signal: its name, or "".
  """

  def __init__(self, hosts: int = 1):
    """With `hosts` > 1 all processes agree on the step to stop at."""
    self.signal = ""
    self._together, self._cut, self._count = hosts > 1, False, 0
    self._once, self._undo = threading.Lock(), contextlib.ExitStack()
    self._pass_on: Callable[[], object] = lambda: None

  def __enter__(self) -> "Stop":
    if threading.current_thread() is threading.main_thread():
      if self._together:
        self._pass_on = _handler_of_jax(self._undo)
      for number in SIGNALS:
        before = signal.signal(number, self._handle)
        self._undo.callback(signal.signal, number, before or signal.SIG_DFL)
      self._start_thread()
    return self

  def __exit__(self, *error: object) -> None:
    self._undo.close()

  def _start_thread(self) -> None:
    """Starts the thread; Python's part in C writes to it at once."""
    _listen(self._watch, self._undo)

  def _watch(self, ours: socket.socket) -> None:
    """The thread: acts on a signal that the main thread does not handle."""
    numbers: list[int] = []
    with ours:
      while True:
        try:
          data = ours.recv(16)
        except TimeoutError:
          self._remember(numbers[0])
          ours.settimeout(None)
          continue
        numbers += [n for n in data if n in SIGNALS]
        if len(numbers) > 1:
          os._exit(128 + numbers[1])
        if not data:
          return
        if numbers:
          ours.settimeout(_PAUSE)

  def _handle(self, number: int, frame: object) -> None:
    """The handler, in the main thread."""
    del frame
    self._count += 1
    if self._count > 1:
      os._exit(128 + number)
    self._remember(number)
    if self._cut and not self._together:
      raise Signalled

  def _remember(self, number: int) -> None:
    """Remembers a signal, in whichever thread comes first."""
    if not self._once.acquire(blocking=False):
      return
    self.signal = name = signal.Signals(number).name
    text = f"\n{name}: saving at the next step; once more ends at once\n"
    with contextlib.suppress(OSError):  # a log that is full stops no signal
      os.write(
        sys.stderr.fileno() if _has_descriptor(sys.stderr) else 2, text.encode()
      )
    self._pass_on()

  def due(self, step: int) -> bool:
    """Whether to save and leave after this step; call it at every step."""
    if self._together and multihost_utils.reached_preemption_sync_point(step):
      self.signal = self.signal or "SIGTERM"
      return True
    return bool(self.signal) and not self._together

  @contextlib.contextmanager
  def cutting(self) -> Iterator[None]:
    """Lets a signal raise `Signalled` within, unless there are several hosts.

    Other hosts would wait for ever for the part of this one.
    """
    if self.signal and not self._together:
      raise Signalled
    self._cut = True
    try:
      yield
    finally:
      self._cut = False


@contextlib.contextmanager
def ending(hosts: int) -> Iterator[None]:
  """Within, a signal ends what trains nothing, on one of several hosts too.

  JAX's preemption service has SIGTERM for itself there, and nobody asks it.
  Alone, Python does what it always does: SIGTERM ends it, and SIGINT is an
  error, as a notebook has it.

  Args:
    hosts: of the run.
  """
  with leaving("") if hosts > 1 else contextlib.nullcontext():
    yield


@contextlib.contextmanager
def leaving(when: str = " before the first step") -> Iterator[None]:
  """Within, the first signal ends the process with 75: nothing is to be saved.

  At once, also while the main thread is in a compiler for minutes: schedulers
  do not wait so long.

  Args:
    when: it is, for the message.
  """
  with contextlib.ExitStack() as undo:
    if threading.current_thread() is threading.main_thread():
      for number in SIGNALS:
        if address := _foreign(number):  # of JAX's preemption service
          undo.callback(_libc().signal, number, address)
        before = signal.signal(number, lambda *_: None)  # the thread acts
        undo.callback(signal.signal, number, before or signal.SIG_DFL)
      _listen(functools.partial(_leave, when), undo)
    yield


def _leave(when: str, ours: socket.socket) -> None:
  """The thread of `leaving`."""
  with ours:
    while data := ours.recv(16):
      for number in filter(SIGNALS.__contains__, data):
        text = f"\n{signal.Signals(number).name}{when}: there is nothing to "
        text += "save; the same command starts again\n"
        with contextlib.suppress(OSError):
          os.write(2, text.encode())
        os._exit(errors.PREEMPTED)


def _listen(
  watch: Callable[[socket.socket], None], undo: contextlib.ExitStack
) -> None:
  """Has a thread read the numbers of signals; Python's part in C writes them.

  Args:
    watch: the thread, until nothing more comes.
    undo: gets a callback that ends it.
  """
  ours, theirs = socket.socketpair()
  theirs.setblocking(False)
  before = signal.set_wakeup_fd(theirs.fileno(), warn_on_full_buffer=False)
  thread = threading.Thread(target=watch, args=(ours,), daemon=True)
  thread.start()
  undo.callback(thread.join)
  undo.callback(theirs.close)  # which ends the thread
  undo.callback(signal.set_wakeup_fd, before)


def _handler_of_jax(undo: contextlib.ExitStack) -> Callable[[], object]:
  """Calls what JAX's preemption service does at SIGTERM.

  It is a C function that only sets a flag.

  Args:
    undo: gets a callback that puts it back where it was.
  """
  number = int(signal.SIGTERM)
  address = _foreign(number)
  if not address:
    return lambda: None  # there is no service
  undo.callback(_libc().signal, number, address)
  handler = ctypes.CFUNCTYPE(None, ctypes.c_int)(address)
  return lambda: handler(number)


def _foreign(number: int) -> int:
  """Address of a handler that was not set through Python; 0: there is none."""
  address = _libc().signal(number, None)
  _libc().signal(number, address)
  known = address in (None, 0, 1) or callable(signal.getsignal(number))
  return 0 if known else address


@functools.cache
def _libc() -> ctypes.CDLL:
  libc = ctypes.CDLL(None)
  libc.signal.restype = ctypes.c_void_p
  libc.signal.argtypes = (ctypes.c_int, ctypes.c_void_p)
  return libc


def _has_descriptor(stream: object) -> bool:
  try:
    stream.fileno()
  except (AttributeError, OSError):  # replaced, as in a notebook
    return False
  return True
