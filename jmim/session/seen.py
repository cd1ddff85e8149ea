"""What the hosts of a run see of its workdir, and have to see alike.

A network disk may show some of them an old state of it for a while. So they
wait until they all see the same checkpoint, and what else decides what a host
does next is what the first one reads.
"""

import json

from jmim.parallel import alike
from jmim.runlog import writer as writers
from jmim.session import session as sessions


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
