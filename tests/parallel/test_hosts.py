"""Groups of processes; tests/test_two_hosts.py has real ones."""

import collections
import errno
import types

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


@pytest.mark.parametrize(
  "coordinator, listens",
  [
    ("127.0.0.1:1234", "127.0.0.1:1234"),
    ("localhost:1234", "localhost:1234"),
    ("[::1]:1234", "[::1]:1234"),
    ("10.0.0.7:1234", None),
    ("127.0.0.1.example:1234", None),
    (hosts.AUTO, None),
  ],
)
def test_processes_of_one_machine_meet_where_no_other_can(
  monkeypatch, coordinator, listens
):
  given = {}
  flags = types.SimpleNamespace(FLAGS=collections.defaultdict(_Flag))
  monkeypatch.setattr(hosts, "flags", flags)
  monkeypatch.setattr(
    jax.distributed, "initialize", lambda *args, **more: given.update(more)
  )
  hosts.start(coordinator, 2, 0, 60)
  assert given.get("coordinator_bind_address") == listens


class _Flag:
  value = None


def test_alone_a_failure_is_ones_own():
  group, error = hosts.Group(), OSError(errno.EIO, "x")
  assert group.attempt("a", lambda: 3, OSError) == (3, None)
  assert group.attempt("a", failing(error), OSError) == (None, error)
  with pytest.raises(ValueError, match="y"):
    group.attempt("a", failing(ValueError("y")), OSError)


def test_what_the_first_host_sees_holds_for_all(meet):
  others, names = meet
  assert hosts.Group().of_first("list", "[1]") == "[1]"
  others[0] = "[1, 2]"
  second = hosts.Group(7, 1, 2)
  assert second.of_first("list", "[1]") == "[1, 2]"
  assert second.of_first("list", "[1]") == "[1, 2]"
  assert len(set(names)) == 2


def test_others_act_once_the_first_host_has(meet):
  others, names = meet
  others[0] = ""
  met = lambda: len(names)
  assert hosts.Group(7, 1, 2).in_turn("index", met, OSError) == 1
  first, rest = names  # to index 10^9 examples takes hours
  assert 23 * 3600 < first[1] <= 24 * 3600 and rest[1] == 7
  del others[0]
  others[1] = ""
  names.clear()
  assert hosts.Group(7, 0, 2).in_turn("index", met, OSError) == 0
  assert hosts.Group().in_turn("index", lambda: "alone", OSError) == "alone"
  others |= {0: hosts._pack(OSError(errno.ENOSPC, "full"))}
  with pytest.raises(OSError, match="host 0: No space"):
    hosts.Group(7, 1, 2).in_turn("index", failing(ValueError("x")), OSError)


def test_the_first_host_that_fails_decides_for_all(meet):
  others, names = meet
  middle = hosts.Group(7, 1, 3)
  pack = hosts._pack
  others |= {0: "", 2: ""}
  assert middle.attempt("a", lambda: 3, OSError) == (3, None)
  others[2] = pack(OSError(errno.ENOSPC, "full"))
  _, error = middle.attempt("a", lambda: 3, OSError)
  assert error.errno == errno.ENOSPC and "host 2: No space" in str(error)
  own = OSError(errno.EIO, "own")
  assert middle.attempt("a", failing(own), OSError)[1] is own
  others[0] = pack(errors.Damaged("7 is cut", "x", "y"))
  _, error = middle.attempt("b", failing(own), OSError, patience=2)
  assert isinstance(error, errors.Damaged) and error.fix == "y"
  assert error.seen == "host 0: 7 is cut"
  others[0] = pack(errors.UserError("taken", "x", "y", "--workdir"))
  _, error = middle.attempt("b", failing(own), OSError, patience=2)
  assert type(error) is errors.UserError and error.key == "--workdir"
  # No name comes twice: the service keeps what was brought to it.
  two = [("b (3)", 14), ("b (4)", 14)]
  assert names == [("a (0)", 7), ("a (1)", 7), ("a (2)", 7), *two]


def test_what_fails_for_one_is_raised_by_all(meet):
  others, _ = meet
  group = hosts.Group(7, 1, 2)
  others[0] = ""
  assert group.all_or_none("a", lambda: 3, errors.UserError) == 3
  others[0] = hosts._pack(errors.Damaged("7 is cut", "x", "y"))
  with pytest.raises(errors.Damaged, match="host 0: 7 is cut"):
    group.all_or_none("a", lambda: 3, errors.Damaged)


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


def test_a_group_meets_by_the_client_of_jax(monkeypatch):
  told = []

  class Client:
    def __getattr__(self, name):
      return lambda *args: told.append((name, *args)) or []

  monkeypatch.setattr(hosts.distributed.global_state, "client", Client())
  hosts.Group(9, 1, 4).barrier("there")
  assert ("wait_at_barrier", "jmim/there", 9000) in told


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
