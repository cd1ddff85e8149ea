import os
import sys

import pytest

from jmim.parallel import malloc


class _Restarted(Exception):
  pass


def _restarts(monkeypatch, tunables):
  """The command huge_pages starts again and its tunables, or None."""

  def execv(path, argv):
    raise _Restarted([path, *argv[1:]], os.environ["GLIBC_TUNABLES"])

  monkeypatch.setattr(os, "execv", execv)
  monkeypatch.setattr(sys, "orig_argv", ["python", "-m", "jmim.main", "--x"])
  monkeypatch.setenv("GLIBC_TUNABLES", "")  # restored after the test
  monkeypatch.delenv("GLIBC_TUNABLES")
  if tunables is not None:
    monkeypatch.setenv("GLIBC_TUNABLES", tunables)
  try:
    malloc.huge_pages()
  except _Restarted as e:
    return e.args
  return None


@pytest.mark.skipif(sys.platform != "linux", reason="glibc only")
def test_huge_pages_are_asked_for_once_by_the_same_command(monkeypatch):
  command, tunables = _restarts(monkeypatch, None)
  assert command == [sys.executable, "-m", "jmim.main", "--x"]
  assert tunables == "glibc.malloc.hugetlb=1"
  assert _restarts(monkeypatch, tunables) is None
  assert _restarts(monkeypatch, "glibc.malloc.check=1") is None


def test_other_systems_are_left_alone(monkeypatch):
  monkeypatch.setattr(sys, "platform", "darwin")
  assert _restarts(monkeypatch, None) is None
