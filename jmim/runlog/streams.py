"""What is printed never ends a run: a full disk, a closed pipe, any locale.

A log that is redirected to a full disk, or piped into a program that has ended,
loses lines; the run goes on. Signs that the locale has no code for are shown as
escapes.
"""

import contextlib
import os
import sys
from collections.abc import Iterator
from typing import Any


class Patient:
  """A text stream whose writes may fail.

  Attributes:
    failed: called once, with the first error.
  """

  def __init__(self, stream: Any, failed: Any = lambda error: None):
    """Wraps a stream."""
    self._stream, self.failed = stream, failed

  def write(self, text: str) -> int:
    """Writes what can be written; the length of the text."""
    self._try(self._stream.write, text)
    return len(text)

  def writelines(self, lines: Any) -> None:
    """Writes several."""
    for line in lines:
      self.write(line)

  def flush(self) -> None:
    """Has it leave the process, where it can."""
    self._try(self._stream.flush)

  def _try(self, act: Any, *args: Any) -> None:
    try:
      act(*args)
    except OSError as e:
      failed, self.failed = self.failed, lambda error: None
      failed(e)

  def __getattr__(self, name: str) -> Any:
    return getattr(self._stream, name)


@contextlib.contextmanager
def patient() -> Iterator[None]:
  """Has sys.stdout and sys.stderr be such streams within."""
  before = sys.stdout, sys.stderr
  out, err = map(_usable, before)
  sys.stdout, sys.stderr = Patient(out), Patient(err)
  sys.stdout.failed = _say
  try:
    yield
  finally:
    sys.stdout, sys.stderr = before
    _leave(out)
    _leave(err)


def only_read() -> None:
  """Says that what follows is a screen: none misses what `| head` left out."""
  if isinstance(sys.stdout, Patient):
    sys.stdout.failed = _say_unless_closed


def _say(error: OSError) -> None:
  text = f"standard output cannot be written ({error}); the run goes on"
  print(text, file=sys.stderr)


def _say_unless_closed(error: OSError) -> None:
  if not isinstance(error, BrokenPipeError):
    print(f"standard output cannot be written ({error})", file=sys.stderr)


def _usable(stream: Any) -> Any:
  if stream is None:  # closed by whoever started us
    return open(os.devnull, "w", encoding="utf-8")
  if hasattr(stream, "reconfigure"):
    stream.reconfigure(errors="backslashreplace")
  return stream


def _leave(stream: Any) -> None:
  """Empties a stream; what cannot be written is dropped.

  Else Python would try at the very end, and end with exit code 120.
  """
  try:
    stream.flush()
  except OSError:
    with contextlib.suppress(OSError), open(os.devnull, "wb") as nowhere:
      os.dup2(nowhere.fileno(), stream.fileno())
