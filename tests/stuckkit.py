"""Something that is stuck, and watchdogs whose time is that of being stuck.

Their clock stands still until then: however slow the machine, nothing that goes
on takes too long.
"""

import threading
import time

from jmim.session import watchdog

REAL = watchdog.Watchdog


class Bitten(Exception):
  """In place of the end of the process."""


class Kennel:
  """What is stuck here, and what its watchdogs did.

  Attributes:
    unit: seconds that `host_timeout` is here.
    codes: exit codes.
    limits: of each that was stuck, see `limit`.
  """

  unit = 0.1

  def __init__(self):
    self.codes, self.limits = [], []
    self._dogs, self._since, self._bitten = [], None, threading.Event()

  def now(self):
    """Seconds since something is stuck."""
    return 0.0 if self._since is None else time.monotonic() - self._since

  def make(self, seconds, factor, doing, **more):
    """A watchdog that loses its patience ever so much sooner."""
    if not factor:
      return REAL(seconds, factor, doing, **more)

    def end(code):
      self.codes.append(code)
      self._bitten.set()

    made = REAL(
      self.unit, factor, doing, end=end, pause=0.02, now=self.now, **more
    )
    self._dogs.append(made)
    return made

  def limit(self):
    """How long what is done now may take, in units of `host_timeout`."""
    return round(self._dogs[-1].limit() / self.unit, 3)

  def never_returns(self, *args, **kwargs):
    """Waits until a watchdog has enough of it."""
    self.limits.append(self.limit())
    self._since = time.monotonic()
    if not self._bitten.wait(300):
      raise AssertionError("nobody saw that something is stuck")
    raise Bitten

  def after(self, good, act):
    """`act`, whose calls after so many good ones are stuck."""
    calls = iter(range(good))

    def call(*args, **kwargs):
      if next(calls, None) is None:
        self.never_returns()
      return act(*args, **kwargs)

    return call

  def items_after(self, good, act):
    """The same of the items of the iterators that `act` makes."""

    def made(*args, **kwargs):
      for i, item in enumerate(act(*args, **kwargs)):
        if i == good:
          self.never_returns()
        yield item

    return made


def kennel(monkeypatch):
  """One of all watchdogs of a test."""
  made = Kennel()
  monkeypatch.setattr(watchdog, "Watchdog", made.make)
  return made
