"""A run that logs its phases: what `crash_test` starts and kills.

    python -m jmim.tools.crash_child FILE --config=... --workdir=...

It is `jmim.main`, whose clock writes a line into FILE whenever the run begins
another phase; `crash_watch` reads it.
"""

import contextlib
import pathlib
import sys
from collections.abc import Iterator
from typing import Any

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


def log_phases(path: pathlib.Path) -> None:
  """Has all clocks of this process write what they measure into a file."""
  measure, last = clocks.Clock.measure, []
  path.write_text("start\n", encoding="utf-8")

  def log(phase: str) -> None:
    if last[-1:] != [phase]:
      with path.open("a", encoding="utf-8") as file:
        file.write(f"{phase}\n")
    last[:] = [phase]

  @contextlib.contextmanager
  def measured(
    self: clocks.Clock, name: str, *args: Any, **kwargs: Any
  ) -> Iterator[None]:
    log(NAMES.get(name, name))
    with measure(self, name, *args, **kwargs):
      yield
    # Between two steps, or (after "compile") still before the first.
    log("start" if name == "compile" else "step")

  clocks.Clock.measure = measured


if __name__ == "__main__":
  malloc.huge_pages()
  log_phases(pathlib.Path(sys.argv.pop(1)))
  main.run()
