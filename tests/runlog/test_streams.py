"""Streams that cannot be written."""

import errno
import io
import sys

import pytest

from jmim.runlog import streams


class Full:
  """A stream whose next `bad` writes fail."""

  encoding = "ascii"

  def __init__(self, bad):
    self.bad, self.text = bad, ""

  def write(self, text):
    if self.bad:
      self.bad -= 1
      raise OSError(errno.ENOSPC, "no space")
    self.text += text

  flush = io.StringIO().flush


def test_lines_are_lost_and_the_rest_is_written():
  said, full = [], Full(bad=2)
  made = streams.Patient(full, said.append)
  for text in ("a", "b", "c"):
    assert made.write(text) == 1
  made.writelines(["d", "e"])
  assert full.text == "cde" and len(said) == 1
  assert made.encoding == "ascii"


def test_a_closed_pipe_and_a_full_disk_end_nothing(monkeypatch, tmp_path):
  # As a process has them: text, in a locale of ASCII, on a full device.
  full = open("/dev/full", "w", encoding="ascii", buffering=1)
  seen = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
  monkeypatch.setattr(sys, "stdout", full)
  monkeypatch.setattr(sys, "stderr", seen)
  left = []
  monkeypatch.setattr(streams.atexit, "register", lambda *a: left.append(a))
  streams.install()
  streams.install()  # again: nothing more
  assert len(left) == 2
  print("é", "─" * 5, flush=True)
  print("x" * 100_000)
  print("ü", file=sys.stderr, flush=True)
  shown = seen.buffer.getvalue().decode("ascii")
  assert shown.count("No space left") == 1 and "\\xfc" in shown
  for act, *args in left[:1]:
    act(*args)
  full.close()  # raises nothing: what was left has gone


def test_no_stream_at_all(monkeypatch):
  monkeypatch.setattr(sys, "stdout", None)
  monkeypatch.setattr(streams.atexit, "register", lambda *a: None)
  streams.install()
  print("nowhere")
  assert not sys.stdout.isatty()


@pytest.fixture(autouse=True)
def restored(monkeypatch):
  """Streams are afterwards what they were."""
  for name in ("stdout", "stderr"):
    monkeypatch.setattr(sys, name, getattr(sys, name))
