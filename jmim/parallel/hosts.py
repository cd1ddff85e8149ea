"""Several processes that meet: by name, in time, with the same config."""

import functools
import hashlib
import itertools
import json
import types
from collections.abc import Callable
from collections.abc import Mapping
from typing import Any

import jax
import orbax.checkpoint as ocp  # noqa: F401  defines the flag below
from absl import flags

# JAX has no public door to the key-value store of its coordinator, and no
# barrier that names who is missing: `multihost_utils.sync_global_devices` waits
# on the devices, for ever where a host is gone. This client is what
# `jax.distributed.initialize` itself and Orbax use.
from jax._src import distributed

from jmim.core import errors
from jmim.parallel import alarms
from jmim.parallel import alike
from jmim.parallel import meetings

AUTO = "auto"
_LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
_DAY = 24 * 3600  # seconds
# Has Orbax wait by JAX's service, with a time-out and names, not by the
# devices, which would wait for ever.
_ORBAX = "experimental_orbax_use_distributed_barrier"


def start(
  coordinator: str, count: int | None, index: int | None, seconds: int
) -> None:
  """Joins the processes of a run; before any device is looked at.

  Args:
    coordinator: host:port of process 0, or "auto": JAX reads all three from
      the environment of a TPU pod, GKE, Slurm or MPI.
    count: processes.
    index: of this one.
    seconds: after which others count as missing.

  Raises:
    UserError: "auto" in no such environment, or a number is missing.
  """
  where = None if coordinator == AUTO else coordinator
  try:
    jax.distributed.initialize(
      where,
      count,
      index,
      **_listens(coordinator),
      initialization_timeout=seconds,
      heartbeat_timeout_seconds=seconds,
      shutdown_timeout_seconds=seconds,
    )
  except ValueError as e:
    raise errors.UserError(
      f"--coordinator={coordinator}: {errors.first_line(e)}",
      "a TPU pod, GKE, Slurm or MPI for auto; else host:port with --processes "
      "and --process < --processes",
      "name all three, or leave them out to run alone",
      "--coordinator",
    ) from e
  flags.FLAGS[_ORBAX].value = True


def _listens(coordinator: str) -> dict[str, str]:
  """Where process 0 listens, for JAX; {}: at this port of all its addresses.

  Whoever reaches that port can speak for a host of the run: those that meet on
  one machine are reached from nowhere else.
  """
  host = coordinator.rpartition(":")[0]
  if host not in _LOOPBACK:
    return {}
  return {"coordinator_bind_address": coordinator}


def gather(
  name: str, value: str, seconds: int, index: int, count: int
) -> dict[int, str]:
  """Host -> the value it brought.

  Args:
    name: of the place, once per run.
    value: of this host.
    seconds: after which a host counts as missing.
    index: this host.
    count: hosts.

  Raises:
    HostsMissing: naming those that did not come.
  """
  if count == 1:
    return {index: value}
  room = _room(distributed.global_state.client)
  return room.meet(name, value, seconds=seconds, index=index, count=count)


@functools.lru_cache(1)
def _room(client: Any) -> meetings.Room:
  return meetings.Room(client)


class Group:
  """The processes of a run, as one of them sees them.

  Attributes:
    seconds: after which a host counts as missing.
    index: this host.
    count: hosts.
    meeting: where it waits for the others now, or "".
  """

  def __init__(self, seconds: int = 0, index: int = 0, count: int = 1):
    """Keeps its arguments; one process by default."""
    self.seconds, self.index, self.count = seconds, index, count
    self.meeting = ""
    self._numbers = itertools.count()  # names of meetings must not come twice

  def _gather(self, name: str, value: str, patience: int = 1) -> dict[int, str]:
    self.meeting = name
    try:
      return gather(
        name,
        value,
        seconds=patience * self.seconds,
        index=self.index,
        count=self.count,
      )
    finally:
      self.meeting = ""

  def attempt(
    self,
    name: str,
    act: Callable[[], Any],
    kinds: type[Exception] | tuple[type[Exception], ...],
    patience: int = 1,
  ) -> tuple[Any, Exception | None]:
    """Does something on every host, and learns whether it worked on all.

    A host that fails alone would take another branch than the others, which
    then wait for it in vain. All hosts must call this in the same order.

    Args:
      name: of what is done, for the message about hosts that do not come.
      act: done here.
      kinds: errors that are a failure; others are raised here.
      patience: times `seconds`, for what may take long.

    Returns:
      (what `act` returned, or None; the error, or None). Every host gets the
      error of the first host that has one: a UserError or Damaged as such,
      others as an OSError.

    Raises:
      HostsMissing: as `gather`.
    """
    result, error = None, None
    try:
      result = act()
    except kinds as e:
      error = e
    if self.count == 1:
      return result, error
    name = f"{name} ({next(self._numbers)})"
    reports = self._gather(name, _pack(error), patience)
    first = next((h for h in sorted(reports) if reports[h]), None)
    if first not in (None, self.index):
      error = _unpack(f"host {first}", reports[first])
    return result, error

  def all_or_none(
    self,
    name: str,
    act: Callable[[], Any],
    kinds: type[Exception],
    patience: int = 1,
  ) -> Any:
    """What `act` returns; if it raises one of `kinds` on any host, all do."""
    result, error = self.attempt(name, act, kinds, patience)
    if error:
      raise error
    return result

  def in_turn(
    self,
    name: str,
    act: Callable[[], Any],
    kinds: type[Exception],
    patience: int = 1,
  ) -> Any:
    """As `all_or_none`, but the others act once the first host has.

    What it leaves on a disk that all see, they need not make again. It may take
    a day; should it die, JAX's service tells them.
    """
    first = self.index == 0
    alone = act if first else lambda: None
    long = max(patience, _DAY // max(1, self.seconds))
    made = self.all_or_none(f"{name}, first host", alone, kinds, long)
    again = (lambda: made) if first else act
    return self.all_or_none(name, again, kinds, patience)

  def of_first(self, name: str, value: str) -> str:
    """What the first host brings; all must call this in the same order.

    A network disk may show another host an old file, or list, for a minute.

    Raises:
      HostsMissing: as `gather`.
    """
    return self.of_all(name, "" if self.index else value)[0]

  def of_all(self, name: str, value: str) -> list[str]:
    """The same of every host."""
    if self.count == 1:
      return [value]
    name = f"{name} ({next(self._numbers)})"
    found = self._gather(name, value)
    return [found[host] for host in sorted(found)]

  def barrier(self, name: str) -> None:
    """Waits until every host is here; the name comes once per run.

    Raises:
      HostsMissing: naming those that did not come.
    """
    self._gather(name, "")

  def alarm(self) -> alarms.Alarm:
    """Tells the others that this one stands still."""
    client = distributed.global_state.client
    return alarms.Alarm(client, self.index, self.count)

  def agree(
    self,
    name: str,
    values: Mapping[str, str],
    fix: str,
    keys: Mapping[str, str] = types.MappingProxyType({}),
  ) -> None:
    """Raises UserError unless all hosts bring the same values.

    Args:
      name: of the place, as for `barrier`.
      values: what ("config", "code") -> its hash.
      fix: what to do where they differ.
      keys: what -> key or flag to change.
    """
    texts = self._gather(name, json.dumps(dict(values)))
    by_host = {host: json.loads(text) for host, text in texts.items()}
    if error := alike.difference(by_host, fix, keys):
      raise error


def group(seconds: int) -> Group:
  """That of this run, once `start` has been called (or was not needed)."""
  return Group(seconds, jax.process_index(), jax.process_count())


def _pack(error: Exception | None) -> str:
  """An error as text for the other hosts; "" if there is none."""
  if error is None:
    return ""
  if isinstance(error, errors.UserError):
    told = (error.seen, error.expected, error.fix, error.key)
    return json.dumps([isinstance(error, errors.Damaged), told])
  return json.dumps([getattr(error, "errno", None), errors.first_line(error)])


def _unpack(host: str, text: str) -> Exception:
  """The error of another host."""
  what, told = json.loads(text)
  if isinstance(told, str):
    told = f"{host}: {told}"
    return OSError(what, told) if what else OSError(told)
  kind = errors.Damaged if what else errors.UserError
  return kind(f"{host}: {told[0]}", *told[1:])


def digest(text: str) -> str:
  """A short hash."""
  return hashlib.sha256(text.encode()).hexdigest()[:16]
