"""Who holds a workdir: alive, dead, here, elsewhere."""

import json
import os
import subprocess
import sys
import threading
import time

import pytest

from jmim.core import errors
from jmim.session import lock as locks
from jmim.session import session as sessions


@pytest.fixture
def quick(monkeypatch):
  """Signs of life within fractions of a second."""
  monkeypatch.setattr(locks, "BEAT", 0.05)
  monkeypatch.setattr(locks, "DEAD", 0.6)


def put(workdir, **changes):
  """A lock of another process."""
  held = locks._ourselves() | changes
  (workdir / locks.NAME).write_text(json.dumps(held), encoding="utf-8")
  return workdir / locks.NAME


def ended():
  """The number of a process that is no more."""
  process = subprocess.Popen([sys.executable, "-c", ""])
  process.wait()
  return process.pid


def test_the_second_is_told_who_and_the_lock_is_given_back(tmp_path):
  workdir = tmp_path / "new"
  held = locks.Lock(workdir)
  with pytest.raises(errors.UserError) as e:
    locks.Lock(workdir)
  host = held._text.partition('"host": "')[2].partition('"')[0]
  for text in (f"process {os.getpid()}", host, "since 20", str(workdir)):
    assert text in e.value.seen
  assert f"; this is process {os.getpid()} on host {host}" in e.value.seen
  held.release()
  assert not list(workdir.iterdir())
  locks.Lock(workdir).release()


@pytest.mark.parametrize("changes", ({"pid": 1}, {}))
def test_a_number_given_to_a_later_process_is_not_the_holder(tmp_path, changes):
  put(tmp_path, begun="1", **changes)
  locks.Lock(tmp_path).release()


def test_a_killed_holder_is_gone_at_once(tmp_path):
  put(tmp_path, pid=ended())
  start = time.monotonic()
  locks.Lock(tmp_path).release()
  assert time.monotonic() - start < 5


def test_a_stopped_holder_is_no_dead_one(tmp_path):
  process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=-1)
  try:
    process.send_signal(19)
    put(tmp_path, pid=process.pid, begun=locks.begun(process.pid))
    with pytest.raises(errors.UserError, match=f"process {process.pid} "):
      locks.Lock(tmp_path)
  finally:
    process.kill()
    process.communicate()
  locks.Lock(tmp_path).release()


@pytest.mark.parametrize("place", ("another kernel", ""))
def test_a_silent_holder_elsewhere_is_dead(tmp_path, quick, place):
  put(tmp_path, place=place, host="far")
  said = []
  locks.Lock(tmp_path, said.append, pause=0.02).release()
  assert len(said) == 1 and "on host far" in said[0]
  path = put(tmp_path, place=place)
  os.utime(path, (1, 1))  # so long ago that nothing is waited for
  locks.Lock(tmp_path, said.append).release()
  assert len(said) == 1


@pytest.mark.parametrize("ahead", (-3000, 0, 3000))
def test_a_holder_elsewhere_that_gives_signs_is_alive(tmp_path, quick, ahead):
  # Its clock is another: only changes count.
  path = put(tmp_path, place="another kernel", host="far")
  end = threading.Event()

  def live():
    while not end.wait(0.05):
      os.utime(path, (time.time() + ahead,) * 2)

  thread = threading.Thread(target=live)
  thread.start()
  try:
    time.sleep(0.1)
    with pytest.raises(errors.UserError, match="on host far"):
      locks.Lock(tmp_path, pause=0.02)
  finally:
    end.set()
    thread.join()


def test_half_a_lock_is_waited_for_and_taken(tmp_path, quick):
  (tmp_path / locks.NAME).write_text('{"host', encoding="utf-8")
  locks.Lock(tmp_path, pause=0.02).release()


def test_the_holder_lives_and_makes_a_lost_file_anew(tmp_path, quick):
  held = locks.Lock(tmp_path)
  os.utime(held.path, (1, 1))
  time.sleep(0.3)
  assert held.path.stat().st_mtime > 1
  held.path.unlink()
  time.sleep(0.3)
  assert held._ours()
  held.check()
  held.release()


def test_a_holder_that_was_replaced_ends_and_leaves_the_other(tmp_path):
  held = locks.Lock(tmp_path)
  path = put(tmp_path, pid=1, host="far")
  with pytest.raises(errors.UserError, match="process 1 on host far"):
    held.check()
  held.release()
  assert path.exists()


def test_a_disk_that_fails_now_and_then_takes_no_lock_away(
  tmp_path, monkeypatch
):
  held = locks.Lock(tmp_path)
  read, answers = locks._read, []
  monkeypatch.setattr(
    locks, "_read", lambda path: answers.pop() if answers else read(path)
  )
  own = read(held.path)
  for answers[:] in ([{}], [{}, own], [own, {}]):
    held.check()
    assert not held.lost()
  held.release()


def test_without_hard_links_too(tmp_path, monkeypatch):
  def link(*names):
    raise OSError(locks.errno.ENOTSUP, "no links")

  monkeypatch.setattr(locks.os, "link", link)
  held = locks.Lock(tmp_path)
  with pytest.raises(errors.UserError):
    locks.Lock(tmp_path)
  held.release()
  assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("_", range(5))
def test_of_many_at_once_one_gets_a_dead_holders_lock(tmp_path, _):
  put(tmp_path, pid=ended())
  got, refused = [], []

  def take():
    try:
      got.append(locks.Lock(tmp_path, pause=0.01))
    except errors.UserError as e:
      refused.append(e)

  threads = [threading.Thread(target=take) for _ in range(8)]
  for thread in threads:
    thread.start()
  for thread in threads:
    thread.join()
  assert len(got) == 1 and len(refused) == 7
  assert [path.name for path in tmp_path.iterdir()] == [locks.NAME]
  got[0].release()


def test_who_found_it_too_late_leaves_the_next_one_alone(tmp_path):
  """As a process that was stopped after it had read the dead one's lock."""
  put(tmp_path, pid=ended())
  dead = locks._read(tmp_path / locks.NAME)
  first = locks.Lock(tmp_path)
  late = locks.Lock.__new__(locks.Lock)
  late.path, late._text = first.path, locks.json.dumps(locks._ourselves())
  late._leave_to(dead)
  assert first._ours()
  with pytest.raises(errors.UserError):
    late._leave_to(locks._read(first.path))
  first.release()
  assert not list(tmp_path.iterdir())


def test_a_takeover_that_was_begun_by_one_who_died_goes_on(tmp_path):
  put(tmp_path, pid=ended())
  dead = locks._read(tmp_path / locks.NAME)
  right = tmp_path / f"{locks.NAME}.{locks._digest(dead)}.0.tmp"
  text = (tmp_path / locks.NAME).read_text(encoding="utf-8")
  right.write_text(text, encoding="utf-8")
  held = locks.Lock(tmp_path)
  assert [path.name for path in tmp_path.iterdir()] == [locks.NAME]
  held.release()


@pytest.mark.parametrize("error", (None, KeyError))
def test_a_session_that_trains_holds_it_to_its_end(toy, tmp_path, error):
  with pytest.raises(error or ()) if error else locks.contextlib.nullcontext():
    with sessions.open(toy, tmp_path):
      with pytest.raises(errors.UserError, match="is being written"):
        with sessions.open(toy, tmp_path):
          pass
      with sessions.open(toy, tmp_path, write=False) as looking:
        assert looking.lock is None
      if error:
        raise error
  assert not (tmp_path / locks.NAME).exists()


def test_a_workdir_that_was_taken_is_left_as_it_is(toy, tmp_path):
  with sessions.open(toy, tmp_path) as session:
    under_way = session.keeper.store.path / "7.orbax-checkpoint-tmp-1"
    under_way.mkdir()
    put(tmp_path, host="far")
    with pytest.raises(errors.UserError, match="on host far"):
      session.lock.check()
  assert under_way.exists()  # a checkpoint that the other run is writing


def test_a_disk_that_says_no_to_what_it_has_done_gives_the_lock(
  tmp_path, monkeypatch
):
  """NFS: the answer was lost, the request came again, the name is there."""
  link = os.link

  def twice(*names):
    link(*names)
    link(*names)

  monkeypatch.setattr(os, "link", twice)
  held = locks.Lock(tmp_path)
  with pytest.raises(errors.UserError, match="is being written"):
    locks.Lock(tmp_path)
  held.check()
  held.release()
  assert not list(tmp_path.iterdir())
