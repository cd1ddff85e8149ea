"""SIGTERM and SIGINT: save at the next step, then leave; a second one ends.

With several processes JAX's preemption service listens instead: a notice to
any of them (SIGTERM, or maintenance of a TPU) makes all agree on one step.
"""

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator

from jax.experimental import multihost_utils

SIGNALS = (signal.SIGTERM, signal.SIGINT)


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
    self._together, self._cut, self._before = hosts > 1, False, {}

  def __enter__(self) -> "Stop":
    if threading.current_thread() is threading.main_thread():
      # JAX's service has SIGTERM where there are several processes.
      mine = SIGNALS[1:] if self._together else SIGNALS
      self._before = {n: signal.signal(n, self._hear) for n in mine}
    return self

  def __exit__(self, *error: object) -> None:
    for number, handler in self._before.items():
      signal.signal(number, handler)

  def _hear(self, number: int, frame: object) -> None:
    del frame
    name = signal.Signals(number).name
    if self.asked:
      os._exit(128 + number)
    self.asked = name
    text = f"\n{name}: saving at the next step; once more ends at once\n"
    os.write(sys.stderr.fileno() if _has_number(sys.stderr) else 2,
             text.encode())  # fmt: skip
    if self._together:  # to the service, which tells the others
      os.kill(os.getpid(), signal.SIGTERM)
    elif self._cut:
      raise Asked

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


def _has_number(stream: object) -> bool:
  try:
    stream.fileno()
  except (AttributeError, OSError):  # replaced, as in a notebook
    return False
  return True
