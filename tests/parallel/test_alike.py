"""What hosts see alike at last, and what is told of what they do not."""

import types

import pytest

from jmim.core import errors
from jmim.parallel import alike


def group(*rounds):
  """One whose hosts bring these values, look by look."""
  looks = iter(rounds)
  return types.SimpleNamespace(of_all=lambda what, value: [*next(looks)])


@pytest.fixture
def slept(monkeypatch):
  found = []
  monkeypatch.setattr(alike.time, "sleep", found.append)
  return found


def test_what_all_see_at_once_is_looked_at_once(slept):
  assert alike.looked(group("aaa"), "x", lambda: "a", pytest.fail) == "a"
  assert slept == []


def test_what_some_see_late_is_looked_at_again(slept):
  looks, said = [], []
  look = lambda: looks.append(1) or "b"
  found = alike.looked(group("ab", "ab", "bb"), "list", look, said.append)
  assert (found, len(looks), slept) == ("b", 3, [1, 2])
  assert said == [
    f"hosts see another list: looking again in {n} s" for n in (1, 2)
  ]


def test_what_stays_different_is_told_after_a_minute(slept):
  rounds = group(*["aab"] * 9)
  with pytest.raises(
    errors.UserError, match="list of hosts 2 .* of host 0"
  ) as e:
    alike.looked(
      rounds, "list", lambda: "a", lambda text: None, key="data.data_dir"
    )
  assert (sum(slept), e.value.key) == (60, "data.data_dir")


def test_the_first_difference_is_named_and_short_values_are_shown():
  long = "0" * 64
  hosts = {0: {"n": "1", "hash": long}, 1: {"n": "1", "hash": long}}
  assert alike.difference(hosts, "x", {}) is None
  hosts[2] = {"n": "2", "hash": "1" * 64}
  error = alike.difference(hosts, "copy it", {"n": "data.n"})
  assert error.seen == "the n of hosts 2 is not that of host 0 (2, not 1)"
  assert (error.fix, error.key) == ("copy it", "data.n")
  hosts[2]["n"] = "1"
  error = alike.difference(hosts, "copy it", {})
  assert error.seen == "the hash of hosts 2 is not that of host 0"
