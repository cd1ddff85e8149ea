"""What all hosts of a run are to see alike, and what is told if they do not.

A network disk may show some of them an old state for a while: so they look at
it again, for a minute.
"""

import time
from collections.abc import Callable
from collections.abc import Mapping
from typing import Any

from jmim.core import errors

# Before each look after the first, in seconds: a minute in all.
PAUSES = (1, 2, 4, 8, 15, 30)
_SHORT = 12  # letters of a value that is shown; hashes are longer


def looked(
  group: Any,
  what: str,
  look: Callable[[], str],
  warn: Callable[[str], None],
  key: str = "--workdir",
) -> str:
  """What all hosts see; all of them call this, in the same order.

  Args:
    group: the `hosts.Group` of the run.
    what: is seen, for messages.
    look: a value, or a hash of it, as this host sees it now.
    warn: prints a line before another look.
    key: config key or flag of where it is.

  Raises:
    UserError: after a minute some still see something else.
    HostsMissing: as `parallel.hosts.gather`.
  """
  for pause in (*PAUSES, 0):
    found = group.of_all(what, look())
    if len({*found}) == 1:
      return found[0]
    if pause:
      warn(f"hosts see another {what}: looking again in {pause} s")
      time.sleep(pause)
  fix = "give all the same --workdir, on a disk they share"
  by_host = {host: {what: value} for host, value in enumerate(found)}
  raise difference(by_host, fix, {what: key})


def difference(
  by_host: Mapping[int, Mapping[str, str]], fix: str, keys: Mapping[str, str]
) -> errors.UserError | None:
  """The error for the first of some values that hosts differ in; None: none.

  Args:
    by_host: host -> what -> value.
    fix: as of `Group.agree`, like `keys`.
    keys: what -> key or flag to change.
  """
  for what, first in by_host[min(by_host)].items():
    other = [h for h, v in by_host.items() if v[what] != first]
    if other:
      theirs = by_host[other[0]][what]
      short = max(len(theirs), len(first)) <= _SHORT
      return errors.UserError(
        f"the {what} of hosts {', '.join(map(str, other))} is not that of "
        "host 0" + f" ({theirs}, not {first})" * short,
        f"the same {what} on all hosts",
        fix,
        keys.get(what),
      )
  return None
