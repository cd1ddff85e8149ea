"""One process trains a workdir: the file `lock` in it says which.

    host, pid, since     for the people who read it
    place, begun         kernel and pid namespace; when the process began

It is made by a hard link, which is one step on network disks too (where flock
often is none), and its time is set every BEAT seconds. A holder that died
without removing it is recognised: in the same place by its process, which is
gone (or is a later one with the same number); from elsewhere by its time, which
no longer changes. That is watched: clocks of two hosts may differ.
"""

import contextlib
import datetime
import errno
import hashlib
import itertools
import json
import os
import pathlib
import secrets
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

from jmim.core import errors

NAME = "lock"
BEAT = 5.0  # seconds between two signs of life
# Seconds without one after which a holder elsewhere is dead: a network disk may
# show another host what changed half a minute late.
DEAD = 60.0
_WANTED = (
  "one run in a workdir at a time",
  "wait for that run, end it, or choose another --workdir",
  "--workdir",
)
_LONG = 3600.0  # seconds that no two clocks differ by
_BOOT = pathlib.Path("/proc/sys/kernel/random/boot_id")
# What `link` raises where there are no hard links.
_NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS)


class Lock:
  """Holds a workdir from its making until `release`."""

  def __init__(
    self,
    workdir: pathlib.Path,
    say: Callable[[str], None] = lambda text: None,
    pause: float = 0.5,
  ):
    """Takes the lock; the folder is made.

    Args:
      workdir: of the run.
      say: prints a line, where something is waited for.
      pause: seconds between two looks at another's lock.

    Raises:
      UserError: another process holds it.
      OSError: it cannot be written.
    """
    self.path = pathlib.Path(workdir).absolute() / NAME
    self._text = json.dumps(_ourselves())
    self._say, self._pause = say, pause
    self._end = threading.Event()
    self.path.parent.mkdir(parents=True, exist_ok=True)
    while not self._make(self.path):
      self._leave_to(_read(self.path))
    self._thread = threading.Thread(target=self._live, daemon=True)
    self._thread.start()

  def _make(self, path: pathlib.Path) -> bool:
    """Makes a file that says who we are, unless there is one."""
    own = self.path.with_name(f"{NAME}.{secrets.token_hex(4)}.tmp")
    try:
      own.write_text(self._text, encoding="utf-8")
      os.link(own, path)
    except FileExistsError:
      # A network disk that lost its answer was asked to do it twice.
      return _read(path) == json.loads(self._text)
    except OSError as e:
      if e.errno not in _NO_LINKS:
        raise
      return self._make_alone(path)
    finally:
      with contextlib.suppress(OSError):
        own.unlink(missing_ok=True)
    return True

  def _make_alone(self, path: pathlib.Path) -> bool:
    """The same without hard links: for a moment the file is empty."""
    try:
      with path.open("x", encoding="utf-8") as file:
        file.write(self._text)
    except FileExistsError:
      return False
    return True

  def _leave_to(self, holder: dict[str, Any]) -> None:
    """Removes the lock of a holder that is dead.

    Raises:
      UserError: it lives.
    """
    if not self._is_dead(holder, self.path):
      raise _held(self.path.parent, holder)
    # Of several that find it one removes it: who made the file of that name. A
    # late one, who makes it again, finds another lock and leaves it alone.
    stem = f"{NAME}.{_digest(holder)}"
    for turn in itertools.count():
      right = self.path.with_name(f"{stem}.{turn}.tmp")
      if self._make(right):
        break
      if not self._is_dead(_read(right), right):
        time.sleep(self._pause)
        return
    if _read(self.path) == holder:
      self.path.unlink()
    for each in range(turn + 1):
      self.path.with_name(f"{stem}.{each}.tmp").unlink(missing_ok=True)

  def _is_dead(self, holder: dict[str, Any], path: pathlib.Path) -> bool:
    """Whether who made the file at `path` is gone."""
    if holder.get("place") and holder["place"] == place():
      return begun(holder["pid"]) != holder["begun"]
    return self._is_silent(holder, path)

  def _is_silent(self, holder: dict[str, Any], path: pathlib.Path) -> bool:
    """Whether nothing changes a file for DEAD seconds."""
    before = now = _time(path)
    if self._age(before) > _LONG:
      return True
    end = time.monotonic() + DEAD
    self._say(
      f"{_who(holder)} held {self.path.parent}: waiting up to {DEAD:.0f} s "
      "for a sign of life"
    )
    while now == before and now is not None and time.monotonic() < end:
      time.sleep(self._pause)
      now = _time(path)
    return now is None or now == before

  def _age(self, then: float | None) -> float:
    """Seconds since a time, by the clock of the disk."""
    own = self.path.with_name(f"{NAME}.{secrets.token_hex(4)}.tmp")
    try:
      own.touch()
      return own.stat().st_mtime - (then or 0)
    finally:
      own.unlink(missing_ok=True)

  def _live(self) -> None:
    """The thread: gives signs of life."""
    while not self._end.wait(BEAT):
      # What is wrong with the disk is said where the run writes to it.
      with contextlib.suppress(OSError):
        if self._ours():
          os.utime(self.path)
        elif not self.path.exists():  # the folder was away for a while
          self._make(self.path)

  def _ours(self) -> bool:
    return _read(self.path) == json.loads(self._text)

  @property
  def mark(self) -> str:
    """What tells this lock from all others; see `mark_of`."""
    return json.loads(self._text)["mark"]

  def check(self) -> None:
    """Raises UserError if another process has taken the workdir.

    It does where this one was stopped for longer than DEAD seconds.
    """
    holder = _read(self.path)
    if holder and holder != json.loads(self._text):
      raise _held(self.path.parent, holder)

  def lost(self) -> bool:
    """Whether `check` raises."""
    try:
      self.check()
    except errors.UserError:
      return True
    return False

  def release(self) -> None:
    """Gives the workdir back."""
    self._end.set()
    self._thread.join()
    with contextlib.suppress(OSError):  # then its holder will be found dead
      if self._ours():
        self.path.unlink()


def _ourselves() -> dict[str, Any]:
  now = datetime.datetime.now(datetime.UTC)
  return {
    "host": socket.gethostname(),
    "pid": os.getpid(),
    "since": f"{now:%Y-%m-%d %H:%M:%S} UTC",
    "place": place(),
    "begun": begun(os.getpid()),
    "mark": secrets.token_hex(8),
  }


def place() -> str:
  """What processes that see each other's numbers have in common."""
  try:
    boot = _BOOT.read_text(encoding="utf-8").strip()
    return f"{boot} {os.readlink('/proc/self/ns/pid')}"
  except OSError:  # no Linux
    return ""


def begun(pid: int) -> str:
  """When a process began, in ticks of its kernel; "": there is none."""
  try:
    text = pathlib.Path(f"/proc/{pid}/stat").read_text(
      encoding="utf-8", errors="replace"
    )
  except OSError:
    return ""
  # After the name of the program, which may hold anything.
  state, *fields = text.rpartition(")")[2].split()
  return "" if state in "ZX" else fields[18]


def _digest(holder: dict[str, Any]) -> str:
  text = json.dumps(holder, sort_keys=True)
  return hashlib.sha256(text.encode()).hexdigest()[:16]


def _read(path: pathlib.Path) -> dict[str, Any]:
  """Who holds a lock; {} where nobody can be read."""
  try:
    found = json.loads(path.read_text(encoding="utf-8"))
  except (OSError, ValueError):
    return {}
  return found if isinstance(found, dict) else {}


def mark_of(workdir: pathlib.Path) -> str:
  """The mark of the lock that is seen in a workdir; "": there is none."""
  return str(_read(workdir / NAME).get("mark", ""))


def _time(path: pathlib.Path) -> float | None:
  """When a file was changed; None: it is gone."""
  try:
    return path.stat().st_mtime
  except FileNotFoundError:
    return None


def _who(holder: dict[str, Any]) -> str:
  pid, host = holder.get("pid", "unknown"), holder.get("host", "unknown")
  return f"process {pid} on host {host}"


def _held(workdir: pathlib.Path, holder: dict[str, Any]) -> errors.UserError:
  since = holder.get("since", "an unknown time")
  seen = f"{workdir} is being written by {_who(holder)}, since {since}"
  return errors.UserError(f"{seen}; this is {_who(_ourselves())}", *_WANTED)
