"""Several processes that meet: by name, in time, with the same config."""

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

AUTO = "auto"
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
  client = distributed.global_state.client
  client.key_value_set(f"jmim/{name}/{index}", value or "-")
  values, missing = {}, []
  for host in range(count):
    try:
      # Whoever is late has had all the time of those before it, too.
      patience = 1 if missing else seconds
      key = f"jmim/{name}/{host}"
      values[host] = client.blocking_key_value_get(key, 1000 * patience)
    except RuntimeError as e:
      if "DEADLINE_EXCEEDED" not in str(e):
        raise
      missing.append(host)
  if missing:
    raise errors.HostsMissing(
      f"hosts {', '.join(map(str, missing))} of {count} did not reach "
      f"'{name}' within {seconds} s; look at their logs, or raise "
      "hardware.host_timeout"
    )
  return {host: "" if x == "-" else x for host, x in values.items()}


class Group:
  """The processes of a run, as one of them sees them.

  Attributes:
    seconds: after which a host counts as missing.
    index: this host.
    count: hosts.
  """

  def __init__(self, seconds: int = 0, index: int = 0, count: int = 1):
    """Keeps its arguments; one process by default."""
    self.seconds, self.index, self.count = seconds, index, count
    self._numbers = itertools.count()  # names of meetings must not come twice

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
      error of the first host that has one.

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
    reports = gather(
      f"{name} ({next(self._numbers)})",
      _pack(error),
      seconds=patience * self.seconds,
      index=self.index,
      count=self.count,
    )
    first = next((h for h in sorted(reports) if reports[h]), None)
    if first not in (None, self.index):
      number, text = json.loads(reports[first])
      text = f"host {first}: {text}"
      error = OSError(number, text) if number else OSError(text)
    return result, error

  def barrier(self, name: str) -> None:
    """Waits until every host is here; the name comes once per run.

    Raises:
      HostsMissing: naming those that did not come.
    """
    gather(name, "", seconds=self.seconds, index=self.index, count=self.count)

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
    text = json.dumps(dict(values))
    texts = gather(
      name, text, seconds=self.seconds, index=self.index, count=self.count
    )
    by_host = {host: json.loads(text) for host, text in texts.items()}
    for what, first in by_host[min(by_host)].items():
      other = [h for h, v in by_host.items() if v[what] != first]
      if other:
        raise errors.UserError(
          f"the {what} of hosts {', '.join(map(str, other))} is not that of "
          "host 0",
          f"the same {what} on all hosts",
          fix,
          keys.get(what),
        )


def group(seconds: int) -> Group:
  """That of this run, once `start` has been called (or was not needed)."""
  return Group(seconds, jax.process_index(), jax.process_count())


def _pack(error: Exception | None) -> str:
  """An error as text for the other hosts; "" if there is none."""
  if error is None:
    return ""
  text = getattr(error, "seen", None) or errors.first_line(error)
  return json.dumps([getattr(error, "errno", None), text])


def digest(text: str) -> str:
  """A short hash."""
  return hashlib.sha256(text.encode()).hexdigest()[:16]
