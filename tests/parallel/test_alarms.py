"""Hosts that tell each other that they stand still."""

import threading

import pytest

from jmim.parallel import alarms


class Service:
  """What JAX's does; `gone`: with host 0."""

  def __init__(self):
    self.values, self.gone = {}, False

  def _look(self):
    if self.gone:
      raise RuntimeError("UNAVAILABLE: failed to connect")

  def key_value_set(self, key, value, allow_overwrite=False):
    self._look()
    assert allow_overwrite or key not in self.values
    self.values[key] = value

  def key_value_dir_get(self, folder):
    self._look()
    return [(k, v) for k, v in self.values.items() if k.startswith(folder)]

  def key_value_delete(self, key):
    self._look()
    self.values.pop(key, None)


@pytest.fixture
def hosts(monkeypatch):
  """(service, three hosts)."""
  monkeypatch.setattr(alarms, "_PAUSE", 0.01)
  service = Service()
  return service, [alarms.Alarm(service, i, 3) for i in range(3)]


def test_all_hear_who_rings(hosts):
  _, (first, second, third) = hosts
  assert not first.alone and first.others() == set()
  second.ring()
  second.ring()
  assert first.others() == third.others() == {1} and second.others() == set()
  first.ring()
  assert not first.all_ring()
  third.ring()
  assert first.all_ring() and second.all_ring()
  second.silence()
  assert first.others() == {2} and not first.all_ring()


def test_where_the_service_is_gone_nobody_rings_and_all_have(hosts):
  service, (first, _, _) = hosts
  service.gone = True
  first.ring()
  first.silence()
  assert first.others() == set()  # that alone is no reason to end
  assert first.all_ring()  # but who has rung need not wait for others


def test_the_first_host_whose_service_it_is_is_the_last(hosts):
  _, (first, second, third) = hosts
  left = []

  def leave():
    first.leave(600)
    left.append(0)

  thread = threading.Thread(target=leave)
  thread.start()
  for host in (second, third):
    host.leave(600)
    left.append(1)
  thread.join()
  assert left == [1, 1, 0]


def test_it_does_not_wait_for_ever(hosts):
  _, (first, second, _) = hosts
  second.leave(0)
  first.leave(0.05)


def test_one_alone_has_said_all_there_is_to_say():
  alone = alarms.Alarm()
  alone.ring()
  alone.silence()
  alone.leave(600)
  assert alone.alone and alone.all_ring() and alone.others() == set()
