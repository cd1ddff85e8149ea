"""Several processes that meet: by name, in time, with the same config."""

import hashlib
import json
from collections.abc import Mapping

import jax
from jax._src import distributed

from jmim.core import errors

AUTO = "auto"


def start(
  coordinator: str, count: int | None, index: int | None, seconds: int
) -> None:
  """Joins the processes of a run; before any device is looked at.

  Args:
    coordinator: host:port of process 0, or "auto": what JAX finds of a TPU
      pod, GKE, Slurm or MPI tells all three.
    count: processes.
    index: of this one.
    seconds: after which others that do not answer are given up.

  Raises:
    UserError: "auto" where nothing tells, or a number is missing.
  """
  where = None if coordinator == AUTO else coordinator
  try:
    jax.distributed.initialize(
      where, count, index, initialization_timeout=seconds,
      heartbeat_timeout_seconds=seconds, shutdown_timeout_seconds=seconds,
    )  # fmt: skip
  except ValueError as e:
    raise errors.UserError(
      f"--coordinator={coordinator}: {errors.first_line(e)}",
      "a TPU pod, GKE, Slurm or MPI for auto; else host:port with --processes "
      "and --process < --processes",
      "name all three, or leave them out to run alone", "--coordinator",
    ) from e  # fmt: skip


def barrier(name: str, seconds: int, index: int, count: int) -> None:
  """Waits until every host is here.

  Args:
    name: of the place, once per run.
    seconds: after which one that is missing is given up.
    index: this host.
    count: hosts.

  Raises:
    HostsMissing: naming those that did not come.
  """
  gather(name, "", seconds, index, count)


def gather(
  name: str, value: str, seconds: int, index: int, count: int
) -> dict[int, str]:
  """Host -> the value it brought; see `barrier`."""
  if count == 1:
    return {index: value}
  client = distributed.global_state.client
  client.key_value_set(f"jmim/{name}/{index}", value or "-")
  found, missing = {}, []
  for host in range(count):
    try:
      # Whoever is late has had all the time of those before it, too.
      left = 1 if missing else seconds
      key = f"jmim/{name}/{host}"
      found[host] = client.blocking_key_value_get(key, 1000 * left)
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
  return {host: "" if x == "-" else x for host, x in found.items()}


def agree(
  values: Mapping[str, str], seconds: int, index: int, count: int
) -> None:
  """Raises UserError unless all hosts bring the same values.

  Args:
    values: what ("config", "code") -> its hash.
    seconds: as for `barrier`.
    index: this host.
    count: hosts.
  """
  found = gather("start", json.dumps(dict(values)), seconds, index, count)
  hosts = {host: json.loads(text) for host, text in found.items()}
  for what, first in hosts[0].items():
    other = [h for h, v in hosts.items() if v[what] != first]
    if other:
      raise errors.UserError(
        f"the {what} of hosts {', '.join(map(str, other))} is not that of "
        "host 0", f"the same {what} on all hosts",
        "start all with the same command, from the same version of jmim",
        "--config" if what == "config" else None,
      )  # fmt: skip


def digest(text: str) -> str:
  """A short hash."""
  return hashlib.sha256(text.encode()).hexdigest()[:16]
