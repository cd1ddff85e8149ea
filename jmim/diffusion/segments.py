"""A sampler's calls in segments: where attention looks for what it keeps.

dense      before the first search
search     all is computed, and what is kept from the next call on is found
sparse     what was kept
refresh    later searches, at once sparse
"""

from collections.abc import Sequence
from typing import NamedTuple

PHASES = ("dense", "search", "refresh", "sparse")
SEARCHES = ("search", "refresh")


class Segment(NamedTuple):
  """Calls start .. stop - 1 with one kind of attention.

  Attributes:
    phase: of PHASES.
    start: first call, from 0.
    stop: first call after it.
  """

  phase: str
  start: int
  stop: int


def segments(searches: Sequence[int], steps: int) -> tuple[Segment, ...]:
  """Of a path of so many calls; those without a call are left out.

  Args:
    searches: calls that search, from 0, ascending.
    steps: calls.
  """
  found, phase, start = [], "dense", 0
  for i, at in enumerate(searches):
    kind = "refresh" if i else "search"
    found += [Segment(phase, start, at), Segment(kind, at, at + 1)]
    phase, start = "sparse", at + 1
  found.append(Segment(phase, start, steps))
  return tuple(s for s in found if s.start < s.stop)
