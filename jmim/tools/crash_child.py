"""A run that notes what it is doing: what `crash_test` starts and kills.

    python -m jmim.tools.crash_child NOTES --config=... --workdir=...

It is `jmim.main`, whose clock writes a line into the file NOTES whenever the
run begins something else; `crash_watch` reads it.
"""

import contextlib
import pathlib
import sys

from jmim import main
from jmim.parallel import malloc
from jmim.runlog import clock as clocks

# What the clock measures -> what a kill then hits; "input" comes at each step.
NAMES = {
  "compile": "compile",
  "eval": "evaluation",
  "checkpoint": "save",
  "input": "step",
}


def noting(path: pathlib.Path) -> None:
  """Has all clocks of this process note what they measure."""
  measure, last = clocks.Clock.measure, []
  path.write_text("start\n")

  def note(what: str) -> None:
    if last[-1:] != [what]:
      with path.open("a") as file:
        file.write(f"{what}\n")
    last[:] = [what]

  @contextlib.contextmanager
  def measured(self, name: str, *args, **kwargs):
    note(NAMES.get(name, name))
    with measure(self, name, *args, **kwargs):
      yield
    # Between two steps, or (after "compile") still before the first.
    note("start" if name == "compile" else "step")

  clocks.Clock.measure = measured


if __name__ == "__main__":
  malloc.huge_pages()
  noting(pathlib.Path(sys.argv.pop(1)))
  main.run()
