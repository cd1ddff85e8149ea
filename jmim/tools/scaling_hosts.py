"""How long hosts take to meet, by JAX's own coordination service.

Each host is a client of its own in a thread of this process, so the times are
those of one machine that does the work of all. Nothing is saved: of a save the
meetings are told, without Orbax's own barriers and what it writes.
"""

import socket
import time
from collections.abc import Callable
from collections.abc import Iterator
from concurrent import futures
from typing import Any

# As in `jmim.parallel.hosts`: there is no public door to the service.
from jax._src import distributed

from jmim.parallel import meetings

# Of a save: lock, the one before (twice), log, others' checkpoints, tidying,
# beginning. tests/session/hooks/test_save.py counts them.
PER_SAVE = 7
_SECONDS = 300


def measure(counts: list[int], rounds: int = 3) -> Iterator[dict[str, float]]:
  """One row for each number of hosts.

  Args:
    counts: of hosts.
    rounds: meetings; the quickest counts.
  """
  for count in counts:
    with futures.ThreadPoolExecutor(count) as pool:
      clients, service = _connect(count, pool)
      rooms = [meetings.Room(client) for client in clients]

      def meet(host: int, name: str, rooms=rooms, count=count) -> None:
        rooms[host].meet(name, "", seconds=_SECONDS, index=host, count=count)

      seconds = min(_time(pool, count, meet) for _ in range(rounds))
      _leave(clients, service, pool)
    yield {"hosts": count, "meeting": seconds, "meetings": PER_SAVE * seconds}


def _time(pool, count: int, meet: Callable[[int, str], None]) -> float:
  """Seconds until all have met."""
  name, start = f"{time.monotonic_ns()}", time.perf_counter()
  for done in [pool.submit(meet, host, name) for host in range(count)]:
    done.result()
  return time.perf_counter() - start


def _connect(count: int, pool: futures.Executor) -> tuple[list[Any], Any]:
  """(a client for each host, the service)."""
  with socket.socket() as probe:
    probe.bind(("127.0.0.1", 0))
    where = f"127.0.0.1:{probe.getsockname()[1]}"
  jax_service = distributed._jax
  service = jax_service.get_distributed_runtime_service(
    where, count, heartbeat_timeout=_SECONDS, shutdown_timeout=_SECONDS
  )
  clients = [
    jax_service.get_distributed_runtime_client(
      where,
      host,
      init_timeout=_SECONDS,
      heartbeat_timeout=_SECONDS,
      shutdown_timeout=_SECONDS,
    )
    for host in range(count)
  ]
  for done in [pool.submit(client.connect) for client in clients]:
    done.result()
  return clients, service


def _leave(clients: list[Any], service: Any, pool: futures.Executor) -> None:
  for done in [pool.submit(client.shutdown) for client in clients]:
    done.result()
  service.shutdown()
