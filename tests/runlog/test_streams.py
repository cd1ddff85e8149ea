"""Streams that cannot be written."""

import errno
import io
import os
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


def test_a_full_disk_ends_nothing(monkeypatch):
  # As a process has them: text, in a locale of ASCII, on a full device.
  full = open("/dev/full", "w", encoding="ascii", buffering=1)
  seen = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
  monkeypatch.setattr(sys, "stdout", full)
  monkeypatch.setattr(sys, "stderr", seen)
  with streams.patient():
    print("é", "─" * 5, flush=True)
    print("x" * 100_000)
    print("ü", file=sys.stderr, flush=True)
    print("left over")
  assert sys.stdout is full
  shown = seen.buffer.getvalue().decode("ascii")
  assert shown.count("No space left") == 1 and "\\xfc" in shown
  full.close()  # raises nothing: what was left has gone


def test_a_program_that_reads_no_more_ends_nothing(monkeypatch, capsys):
  ours, theirs = os.pipe()
  os.close(ours)
  pipe = os.fdopen(theirs, "w", encoding="utf-8")
  monkeypatch.setattr(sys, "stdout", pipe)
  with streams.patient():
    print("to nobody", flush=True)
    print("to nobody")
  pipe.close()
  assert capsys.readouterr().err.count("the run goes on") == 1


def test_who_reads_a_screen_no_further_has_seen_enough(monkeypatch, capsys):
  ours, theirs = os.pipe()
  os.close(ours)
  pipe = os.fdopen(theirs, "w", encoding="utf-8")
  full = open("/dev/full", "w", encoding="utf-8")
  for stream, said in ((pipe, 0), (full, 1)):
    monkeypatch.setattr(sys, "stdout", stream)
    with streams.patient():
      streams.only_read()
      print("a screen", flush=True)
    stream.close()
    assert capsys.readouterr().err.count("cannot be written") == said
  streams.only_read()  # outside: nothing to change


def test_no_stream_at_all(monkeypatch):
  monkeypatch.setattr(sys, "stdout", None)
  with streams.patient():
    print("nowhere")
    assert not sys.stdout.isatty()


def test_streams_are_put_back_after_an_exit():
  before = sys.stdout
  with pytest.raises(SystemExit), streams.patient():
    assert sys.stdout is not before
    sys.exit(2)
  assert sys.stdout is before
