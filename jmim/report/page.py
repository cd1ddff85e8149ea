"""One self-contained page for one run or several beside each other."""

import datetime
import html
import json
import os
import pathlib
import string
import urllib.parse
from collections.abc import Sequence
from typing import Any

from jmim.core import files
from jmim.report import gather
from jmim.report import pictures

_HERE = pathlib.Path(__file__).parent


def write(
  workdirs: Sequence[pathlib.Path],
  path: pathlib.Path,
  limit: int = pictures.LIMIT,
) -> pathlib.Path:
  """Writes the report of some runs; all of it, or the old one stays.

  Args:
    workdirs: of the runs, in the order of their colours.
    path: of the page.
    limit: bytes of pictures in all.

  Raises:
    UserError: a folder is no workdir.
    OSError: the page cannot be written.
  """
  runs = [gather.gather(w, limit // len(workdirs)) for w in workdirs]
  for run, workdir in zip(runs, workdirs, strict=True):
    start = path.resolve().parent
    base = pathlib.Path(os.path.relpath(workdir.resolve(), start)).as_posix()
    for one in run["checkpoints"]:
      one["link"] = link(base, one["folder"])
  files.replace(path, render(runs, datetime.datetime.now(datetime.UTC)))
  return path


def link(base: str, folder: str) -> str:
  """A relative link to a folder, whatever is in its name.

  A colon is escaped too, or a run in `javascript:...` would be a program.
  """
  return urllib.parse.quote(folder if base == "." else f"{base}/{folder}")


def render(runs: Sequence[dict[str, Any]], now: datetime.datetime) -> str:
  """The page: a template with style, program and data in it."""
  title = runs[0]["title"] if len(runs) == 1 else f"{len(runs)} runs"
  data = {"runs": runs, "made": f"{now:%Y-%m-%d %H:%M} UTC", "title": title}
  parts = {
    n: (_HERE / f"report.{n}").read_text(encoding="utf-8")
    for n in ("css", "js")
  }
  template = string.Template(
    (_HERE / "report.html").read_text(encoding="utf-8")
  )
  return template.substitute(
    title=html.escape(title), data=embedded(data), **parts
  )


def embedded(data: Any) -> str:
  """JSON that no parser of HTML can take for the end of its script."""
  text = json.dumps(data, separators=(",", ":"), allow_nan=False)
  for character in "<>&\u2028\u2029":
    text = text.replace(character, f"\\u{ord(character):04x}")
  return text
