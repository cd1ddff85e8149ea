"""What the hosts of a run see of its workdir, and have to see alike.

A network disk may show some of them an old state of it for a while. So they
wait until they all see the same checkpoint, and what else decides what a host
does next is what the first one reads.
"""

import json
import time

from jmim.runlog import writer as writers
from jmim.session import session as sessions

# Before each look after the first, in seconds: a minute in all.
_PAUSES = (1, 2, 4, 8, 15, 30)


def newest(session: sessions.Session, name: str) -> int:
  """The step of the newest checkpoint, which all hosts see; 0: there is none.

  Args:
    session: of the run; all hosts call this.
    name: of the place, once per run.

  Raises:
    UserError: after a minute some still see another one.
  """
  group, store = session.group, session.keeper.store
  what = "newest checkpoint"
  for pause in _PAUSES:
    step = str(store.latest() or 0)
    if len({*group.of_all(what, step)}) == 1:
      return int(step)
    text = f"hosts see different checkpoints: looking again in {pause} s"
    session.console.print(text)
    time.sleep(pause)
  step = str(store.latest() or 0)
  fix = "give all the same --workdir, on a disk they share"
  group.agree(name, {what: step}, fix, {what: "--workdir"})
  return int(step)


def evaluated(session: sessions.Session, step: int) -> set[str]:
  """Names of the evaluators whose numbers of a step are written down."""
  names, path = set(), session.workdir / writers.LINES
  if session.group.index == 0 and path.exists():
    lines = writers.read(session.workdir)
    names = {x["eval"] for x in lines if x["step"] == step and "eval" in x}
  text = json.dumps(sorted(names))
  return {*json.loads(session.group.of_first("evaluators done", text))}
