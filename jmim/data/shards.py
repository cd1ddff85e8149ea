"""Shards that are not whole: an error, or left out.

Which examples there are, and so their order, hangs on the shards that are read:
they are left out only where `data.on_bad_record` says so, and few of them.
"""

import logging
from collections.abc import Callable
from collections.abc import Sequence
from typing import Any

from jmim.core import errors
from jmim.data import threads


def each(
  files: Sequence[Any], read: Callable[[Any], Any], share: float
) -> list[Any]:
  """What is read of each file, or its UserError if it may be left out.

  Args:
    files: what `read` takes.
    read: raises UserError for a file that is not whole.
    share: largest share of them that may be left out; 0: none.

  Raises:
    UserError: of a file that may not be left out, or of all.
  """

  def attempt(file: Any) -> Any:
    try:
      return read(file)
    except errors.UserError as e:
      if not share:
        raise
      return e

  found = threads.each(files, attempt)
  if found and len(broken(found)) == len(found):
    raise found[0]
  return found


def broken(found: Sequence[Any]) -> list[str]:
  """What is wrong with those that are left out."""
  return [one.seen for one in found if isinstance(one, errors.UserError)]


def say(seen: Sequence[str], count: int, share: float) -> None:
  """Logs which shards are left out.

  Args:
    seen: what is wrong with each.
    count: of all shards.
    share: largest share of them that may be left out.

  Raises:
    UserError: they are too many.
  """
  if len(seen) > share * count:
    raise errors.UserError(
      f"{len(seen)} of {count} shards are not whole; the first: {seen[0]}",
      f"at most {share:.1%}",
      "copy or build them again, or raise data.max_bad_share",
      "data.max_bad_share",
    )
  for text in seen:
    logging.warning("a shard is left out: %s", text)
