"""What Orbax prints when it fails: a line, not a screen."""

import logging
import sys
import types

import pytest

from jmim.checkpoints import quiet


@pytest.fixture
def hook(monkeypatch):
  """What reaches the hook that was there before ours."""
  seen = []
  monkeypatch.setattr(sys, "unraisablehook", seen.append)
  quiet.orbax()
  quiet.orbax()  # of several stores
  return seen


def record(path, message, error=None):
  info = (type(error), error, None) if error else None
  made = logging.LogRecord("absl", 40, path, 1, message, (), info)
  return logging.getLogger("absl").filter(made) and made


def test_an_error_of_orbax_is_one_line(hook):
  error = ValueError("x")
  made = record("/a/orbax/b.py", "cannot write\nTraceback ...", error)
  assert logging.Formatter().format(made) == "cannot write"
  other = record("/a/other/b.py", "cannot write\nmore", error)
  assert logging.Formatter().format(other).count("\n") > 1
  assert len(record("/a/orbax/b.py", "y" * 999, error).getMessage()) == 200
  assert not record("/a/orbax/b.py", "the directory is read only")


def test_only_what_comes_too_late_is_left_out(hook):
  late = RuntimeError("Event loop is closed")
  for error in (late, RuntimeError("another"), ValueError(late)):
    args = types.SimpleNamespace(exc_type=type(error), exc_value=error)
    sys.unraisablehook(args)
  assert [str(args.exc_value) for args in hook] == ["another", str(late)]
