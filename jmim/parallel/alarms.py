"""Hosts that tell each other that the run stands still.

One whose read never comes back keeps all others waiting, each for something
else and with a patience of its own. The first to lose it rings; the others hear
it, and say what they wait for before one that ends takes them with it.
"""

import contextlib
import time
from typing import Any

_RUNG, _LEFT = "jmim/still/", "jmim/left/"
_PAUSE = 0.2  # seconds between two looks at who has left


class Alarm:
  """What one host says, and hears, of standing still.

  Attributes:
    alone: whether there is no other host.
  """

  def __init__(self, client: Any = None, index: int = 0, count: int = 1):
    """Rings nowhere by default.

    Args:
      client: of JAX's coordination service.
      index: this host.
      count: hosts.
    """
    self.alone = count == 1
    self._client, self._index, self._count = client, index, count

  def ring(self) -> None:
    """Says that this host stands still."""
    self._say(_RUNG)

  def silence(self) -> None:
    """Says that it goes on."""
    if self.alone:
      return
    with contextlib.suppress(RuntimeError):  # the service is gone
      self._client.key_value_delete(f"{_RUNG}{self._index}")

  def others(self) -> set[int]:
    """Which other hosts stand still; none where that cannot be known."""
    return (self._heard(_RUNG) or set()) - {self._index}

  def all_ring(self) -> bool:
    """Whether all have said it; also where the service is gone, and they."""
    heard = self._heard(_RUNG)
    return heard is None or len(heard) == self._count

  def leave(self, seconds: float) -> None:
    """Returns when this host can end without taking others with it.

    Its service lives in host 0, so that one is the last.

    Args:
      seconds: after which nobody is waited for.
    """
    if self.alone:
      return
    self._say(_LEFT)
    if self._index:
      return
    end = time.monotonic() + seconds
    while len(self._heard(_LEFT) or ()) < self._count:
      if time.monotonic() > end:
        return
      time.sleep(_PAUSE)
    time.sleep(5 * _PAUSE)  # they have said it, and end now

  def _say(self, folder: str) -> None:
    if self.alone:
      return
    key = f"{folder}{self._index}"
    with contextlib.suppress(RuntimeError):  # the service is gone
      self._client.key_value_set(key, "-", allow_overwrite=True)

  def _heard(self, folder: str) -> set[int] | None:
    """Hosts that have said something; None: the service is gone."""
    if self.alone:
      return {self._index}
    try:
      found = self._client.key_value_dir_get(folder)
    except RuntimeError:
      return None
    return {int(key.rpartition("/")[2]) for key, _ in found}
