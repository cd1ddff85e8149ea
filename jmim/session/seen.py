"""What the hosts of a run see of its workdir, and have to see alike.

A network disk may show some of them an old state of it for a while. So they
wait until they all see the same checkpoint, and what else decides what a host
does next is what the first one reads.
"""

import base64
import json
import pathlib
import zlib
from collections.abc import Callable

import numpy as np

from jmim.parallel import alike
from jmim.parallel import hosts
from jmim.runlog import writer as writers
from jmim.session import samples
from jmim.session import session as sessions

_DAY = 24 * 3600  # seconds that the first host may read


def newest(session: sessions.Session) -> int:
  """The step of the newest checkpoint, which all hosts see; 0: there is none.

  Args:
    session: of the run; all hosts call this.

  Raises:
    UserError: after a minute some still see another one.
  """
  look = lambda: str(session.keeper.store.latest() or 0)
  what, warn = "newest checkpoint", session.console.print
  return int(alike.looked(session.group, what, look, warn))


def evaluated(session: sessions.Session, step: int) -> set[str]:
  """Names of the evaluators whose numbers of a step are written down."""
  names, path = set(), session.workdir / writers.LINES
  if session.group.index == 0 and path.exists():
    lines = writers.read(session.workdir)
    names = {x["eval"] for x in lines if x["step"] == step and "eval" in x}
  text = json.dumps(sorted(names))
  return {*json.loads(session.group.of_first("evaluators done", text))}


def held(
  group: hosts.Group, folder: pathlib.Path, say: Callable[[str], None]
) -> np.ndarray:
  """int64 [n]: which results a folder of parts holds, in their order.

  The first host tidies it before.

  Args:
    group: the processes; all call this.
    folder: see `samples`.
    say: prints a line about what was removed.

  Raises:
    OSError: on all hosts: it cannot be tidied.
  """

  def look() -> str:
    if group.index:
      return ""
    for line in samples.tidy(folder):
      say(line)
    return _packed(samples.held(folder))

  long = _DAY // max(1, group.seconds)  # all that was made is read
  name = f"{folder.name} looked at"
  text = group.all_or_none(name, look, OSError, long)
  return _unpacked(group.of_first(f"{folder.name} holds", text))


def _packed(numbers: np.ndarray) -> str:
  """Numbers from 0 on as text: a bit for each, in a tenth of their digits."""
  bits = np.zeros(numbers.max(initial=-1) + 1, bool)
  bits[numbers] = True
  return base64.b64encode(zlib.compress(np.packbits(bits))).decode()


def _unpacked(text: str) -> np.ndarray:
  data = zlib.decompress(base64.b64decode(text))
  return np.flatnonzero(np.unpackbits(np.frombuffer(data, np.uint8)))
