"""Meetings, by a service that is only here; test_two_hosts.py has JAX's."""

import threading

import pytest

from jmim.core import errors
from jmim.parallel import meetings


class Service:
  """What JAX's does, and how many requests there were."""

  def __init__(self, count):
    self.count, self.values, self.requests = count, {}, 0
    self._lock, self._barriers = threading.Lock(), {}

  def key_value_set(self, key, value):
    with self._lock:
      self.requests += 1
      assert key not in self.values
      self.values[key] = value

  def key_value_dir_get(self, folder):
    with self._lock:
      self.requests += 1
      found = self.values.items()
      return [(k, v) for k, v in found if k.startswith(folder)]

  def key_value_delete(self, folder):
    with self._lock:
      for key in [k for k in self.values if k.startswith(folder)]:
        del self.values[key]

  def wait_at_barrier(self, name, milliseconds):
    with self._lock:
      self.requests += 1
      made = self._barriers.setdefault(name, threading.Barrier(self.count))
    try:
      made.wait(milliseconds / 1000)
    except threading.BrokenBarrierError as e:
      raise RuntimeError("DEADLINE_EXCEEDED: Barrier timed out") from e


def together(service, rooms, name, values, seconds=20):
  """What each of some hosts hears, or the error that it gets."""
  heard = {}

  def come(host):
    try:
      heard[host] = rooms[host].meet(
        name, values[host], seconds=seconds, index=host, count=service.count
      )
    except errors.HostsMissing as e:
      heard[host] = e

  threads = [threading.Thread(target=come, args=(host,)) for host in values]
  for thread in threads:
    thread.start()
  for thread in threads:
    thread.join()
  return heard


def make(count):
  service = Service(count)
  return service, [meetings.Room(service) for _ in range(count)]


def test_all_hear_what_each_has_said_and_the_service_forgets_it():
  service, rooms = make(5)
  for turn in range(3):
    values = {host: f"{host} {turn}" * (host % 2) for host in range(5)}
    heard = together(service, rooms, f"turn {turn}", values)
    assert heard == dict.fromkeys(range(5), values)
  assert {key.split("/")[2] for key in service.values} == {"turn 2"}


def test_the_requests_grow_with_the_hosts_not_with_their_square():
  service, rooms = make(64)
  together(service, rooms, "x", dict.fromkeys(range(64), "word"))
  assert service.requests == 4 * 64


def test_those_that_do_not_come_are_named():
  service, rooms = make(4)
  heard = together(service, rooms, "there", {0: "", 3: "x"}, seconds=1)
  for error in heard.values():
    assert "hosts 1, 2 of 4 did not reach 'there' within 1 s" in str(error)


def test_of_very_many_the_first_are_named():
  service, rooms = make(100)
  (error,) = together(service, rooms, "there", {0: ""}, seconds=0).values()
  assert "hosts 1, 2, 3, " in str(error) and "20, ... of 100" in str(error)


def test_a_service_that_is_gone_is_a_host_that_is_missing():
  class Gone:
    def __getattr__(self, name):
      def fail(*args):
        raise RuntimeError("UNAVAILABLE: failed to connect")

      return fail

  with pytest.raises(errors.HostsMissing, match="at 'x': .*UNAVAILABLE"):
    meetings.Room(Gone()).meet("x", "", seconds=1, index=1, count=2)
