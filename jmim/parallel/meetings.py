"""Where the hosts of a run meet: a barrier, and what they bring to it.

Each host makes four requests of JAX's coordination service, whatever their
number; asking for the words of every other host one by one would be a million
requests of a thousand hosts. The service keeps what it is told until it is told
to forget it, so that is done, too.
"""

from typing import Any

from jmim.core import errors

_NAMED = 20  # most hosts that are named in a message


class Room:
  """Meetings of the processes of one run, one after the other."""

  def __init__(self, client: Any):
    """`client`: of JAX's service."""
    self._client = client
    self._before: tuple[str, ...] = ()  # keys of the last meeting

  def meet(
    self, name: str, value: str, *, seconds: int, index: int, count: int
  ) -> dict[int, str]:
    """Host -> the value it brought.

    Args:
      name: of the meeting, once per run.
      value: of this host; "" costs nothing.
      seconds: after which a host counts as missing.
      index: this host.
      count: hosts.

    Raises:
      HostsMissing: naming those that did not come; or the service is gone.
    """
    here, said = f"jmim/here/{name}/", f"jmim/said/{name}/"
    try:
      self._client.key_value_set(f"{here}{index}", "-")
      if value:
        self._client.key_value_set(f"{said}{index}", value)
      self._client.wait_at_barrier(f"jmim/{name}", 1000 * seconds)
      values = dict.fromkeys(range(count), "") | self._read(said)
    except RuntimeError as e:
      raise self._missing(here, name, seconds, count, error=e) from e
    if index == 0:
      # All have come here, so all have read what was said before.
      self._forget()
      self._before = (here, said)
    return values

  def _read(self, folder: str) -> dict[int, str]:
    """Host -> text below a folder of keys."""
    found = self._client.key_value_dir_get(folder)
    return {int(key.rpartition("/")[2]): text for key, text in found}

  def _forget(self) -> None:
    for folder in self._before:
      self._client.key_value_delete(folder)

  def _missing(
    self, here: str, name: str, seconds: int, count: int, error: RuntimeError
  ) -> errors.HostsMissing:
    """Names the hosts that did not come, if they can be told."""
    try:
      missing = sorted(set(range(count)) - self._read(here).keys())
    except RuntimeError:  # the service is gone, with host 0
      missing = []
    if not missing:
      return errors.HostsMissing(f"at '{name}': {errors.first_line(error)}")
    more = ", ..." * (len(missing) > _NAMED)
    return errors.HostsMissing(
      f"hosts {', '.join(map(str, missing[:_NAMED]))}{more} of {count} did not "
      f"reach '{name}' within {seconds} s; look at their logs, or raise "
      "hardware.host_timeout"
    )
