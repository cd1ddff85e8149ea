"""What Orbax prints of itself: less of it.

Each array that cannot be written makes it print a screen, or several: of a full
disk one sees thousands of lines, and not that it is full. All that fails is
raised, too, and reported by us.
"""

import logging
import sys
from typing import Any

_LONGEST = 200  # letters of a line
# What threads of Orbax meet whose save has failed meanwhile.
_LATE = "Event loop is closed"


def orbax() -> None:
  """Shortens what Orbax prints, from now on."""
  logging.getLogger("absl").addFilter(_matters)  # added once only
  if not isinstance(sys.unraisablehook, _Hook):
    sys.unraisablehook = _Hook(sys.unraisablehook)


def _matters(record: logging.LogRecord) -> bool:
  """Whether a record is shown; an error of Orbax is, in one line."""
  if "orbax" in record.pathname and record.exc_info:
    record.msg = record.getMessage().split("\n")[0][:_LONGEST]
    record.args, record.exc_info, record.exc_text = (), None, None
  # That a folder is only read is meant.
  return "directory is read only" not in record.getMessage()


class _Hook:
  """Python's for errors that nobody can catch, without late ones of threads."""

  def __init__(self, before: Any):
    self._before = before

  def __call__(self, args: Any) -> None:
    if args.exc_type is not RuntimeError or str(args.exc_value) != _LATE:
      self._before(args)
