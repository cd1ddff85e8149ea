"""Groups of processes; tests/test_two_hosts.py has real ones."""

import errno
import itertools

import jax
import pytest

from jmim.core import errors
from jmim.parallel import hosts


def failing(error):
  def fail():
    raise error

  return fail


@pytest.fixture
def meet(monkeypatch):
  """What the others bring: host -> text, to be filled in; the names used."""
  others, names = {}, []

  def gather(name, value, seconds, index, count):
    names.append((name, seconds))
    return {index: value} | others

  monkeypatch.setattr(hosts, "gather", gather)
  return others, names


def test_alone_a_failure_is_ones_own():
  group, error = hosts.Group(), OSError(errno.EIO, "x")
  assert group.attempt("a", lambda: 3, OSError) == (3, None)
  assert group.attempt("a", failing(error), OSError) == (None, error)
  with pytest.raises(ValueError, match="y"):
    group.attempt("a", failing(ValueError("y")), OSError)


def test_the_first_host_that_fails_decides_for_all(meet):
  others, names = meet
  middle = hosts.Group(7, 1, 3)
  pack = hosts._pack
  others |= {0: "", 2: ""}
  assert middle.attempt("a", lambda: 3, OSError) == (3, None)
  others[2] = pack(OSError(errno.ENOSPC, "full"))
  _, error = middle.attempt("a", lambda: 3, OSError)
  assert error.errno == errno.ENOSPC and "host 2: OSError: " in str(error)
  own = OSError(errno.EIO, "own")
  assert middle.attempt("a", failing(own), OSError)[1] is own
  others[0] = pack(errors.Damaged("7 is cut", "x", "y"))
  _, error = middle.attempt("b", failing(own), OSError, patience=2)
  assert str(error) == "host 0: 7 is cut" and error.errno is None
  # No name comes twice: the service keeps what was brought to it.
  assert names == [("a (0)", 7), ("a (1)", 7), ("a (2)", 7), ("b (3)", 14)]


def test_hosts_that_bring_something_else_are_named(meet):
  others, _ = meet
  group, values = hosts.Group(7, 0, 3), {"code": "1", "config": "2"}
  same, other = '{"code": "1", "config": "2"}', '{"code": "1", "config": "3"}'
  others |= {1: same, 2: same}
  group.agree("start", values, "mend it")
  others[2] = other
  with pytest.raises(errors.UserError, match="config of hosts 2 is") as e:
    group.agree("start", values, "mend it", {"config": "--config"})
  assert (e.value.fix, e.value.key) == ("mend it", "--config")


class Service:
  """JAX's, with the values of some hosts only."""

  def __init__(self):
    self.values, self.asked = {}, []

  def key_value_set(self, key, value):
    assert key not in self.values
    self.values[key] = value

  def blocking_key_value_get(self, key, milliseconds):
    self.asked.append(milliseconds)
    if key not in self.values:
      raise RuntimeError("DEADLINE_EXCEEDED: ...")
    return self.values[key]


def test_hosts_that_do_not_come_are_named(monkeypatch):
  service = Service()
  monkeypatch.setattr(hosts.distributed.global_state, "client", service)
  service.values["jmim/there/3"] = "x"
  with pytest.raises(errors.HostsMissing, match=r"hosts 1, 2 of 4 .*'there'"):
    hosts.Group(9, 0, 4).barrier("there")
  assert service.asked == [9000, 9000, 1000, 1000]  # they had their time
  for host, name in itertools.product(range(1, 4), ["here"]):
    service.values[f"jmim/{name}/{host}"] = "-"
  hosts.Group(9, 0, 4).barrier("here")


# How the processes of a run find each other.


def test_auto_leaves_all_to_jax(monkeypatch):
  given = []
  monkeypatch.setattr(
    jax.distributed, "initialize", lambda *a, **k: given.append((a, k))
  )
  hosts.start("auto", None, None, 9)
  hosts.start("here:1", 2, 0, 9)
  assert [a for a, _ in given] == [(None, None, None), ("here:1", 2, 0)]
  assert all(set(k.values()) == {9} for _, k in given)


def test_auto_where_nothing_tells_is_a_mistake_of_the_user(monkeypatch):
  # What JAX says then; here the devices are already in use.
  def initialize(*args, **kwargs):
    raise ValueError("coordinator_address should be defined.")

  monkeypatch.setattr(jax.distributed, "initialize", initialize)
  with pytest.raises(errors.UserError, match="--processes") as e:
    hosts.start("auto", None, None, 9)
  assert e.value.key == "--coordinator"


def test_a_digest_is_short_and_of_the_whole_text():
  assert len(hosts.digest("a" * 10**5)) == 16
  assert hosts.digest("a") == hosts.digest("a") != hosts.digest("b")
