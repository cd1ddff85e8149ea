"""A workdir that several hosts hold."""

import json

import pytest

from jmim.core import errors
from jmim.parallel import hosts
from jmim.session import holding
from jmim.session import lock as locks


@pytest.fixture
def meet(monkeypatch):
  """Sets what the other of two hosts says, in turn; "": all is well."""
  monkeypatch.setattr(holding.alike, "PAUSES", (0, 0))

  def of(index, *words):
    told = iter(words)
    monkeypatch.setattr(
      hosts,
      "gather",
      lambda name, value, **more: {index: value, 1 - index: next(told, "")},
    )
    return hosts.Group(10, index, 2)

  return of


def test_other_hosts_hold_nothing_and_hear_of_it(tmp_path, meet):
  first = locks.Lock(tmp_path / "new")
  other = meet(1, "", first.mark)
  assert holding.hold(tmp_path / "new", other, print) is None
  assert [p.name for p in (tmp_path / "new").iterdir()] == [locks.NAME]
  first.release()
  (tmp_path / "file").touch()
  with pytest.raises(errors.NotSaved, match="FileExistsError"):
    holding.hold(tmp_path / "file", meet(1), print)
  taken = hosts._pack(errors.UserError("it is being written", "x", "y"))
  with pytest.raises(errors.UserError, match="host 0: it is being written"):
    holding.hold(tmp_path, meet(1, taken), print)
  with pytest.raises(errors.NotSaved, match="no space"):
    holding.hold(tmp_path, meet(1, json.dumps([28, "no space"])), print)


@pytest.mark.parametrize("when", (0, 2))
def test_where_another_host_cannot_write_the_first_gives_it_back(
  tmp_path, meet, when
):
  words = [""] * when + [json.dumps([28, "no space"])]
  with pytest.raises(errors.NotSaved, match="host 1: .*no space"):
    holding.hold(tmp_path, meet(0, *words), print)
  assert not list(tmp_path.iterdir())


def test_a_folder_of_its_own_on_another_host_is_told(tmp_path, meet):
  """Parts of checkpoints would lie in two places, and be none."""
  theirs = locks.Lock(tmp_path / "theirs")
  ours = locks.Lock(tmp_path / "ours")  # of an earlier run, say
  with pytest.raises(errors.UserError, match="not that of the first") as e:
    holding.hold(tmp_path / "ours", meet(1, "", theirs.mark), print)
  assert e.value.key == "--workdir"
  told = hosts._pack(e.value)
  theirs.release()
  with pytest.raises(errors.UserError, match="host 1: .*not that of the first"):
    holding.hold(tmp_path / "theirs", meet(0, "", "", told), print)
  assert not list((tmp_path / "theirs").iterdir())
  ours.release()


def test_a_lock_that_is_seen_late_is_waited_for(tmp_path, meet, monkeypatch):
  first, slept = locks.Lock(tmp_path), []
  seen = iter(["", "", first.mark])
  monkeypatch.setattr(locks, "mark_of", lambda workdir: next(seen))
  monkeypatch.setattr(holding.time, "sleep", slept.append)
  assert holding.hold(tmp_path, meet(1, "", first.mark), print) is None
  assert slept == [0, 0]
  first.release()


def test_alone_it_is_the_lock(tmp_path):
  held = holding.hold(tmp_path, hosts.Group(), print)
  assert held.mark == locks.mark_of(tmp_path)
  held.release()
  assert locks.mark_of(tmp_path) == ""
