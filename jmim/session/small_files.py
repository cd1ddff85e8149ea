"""Small files of a workdir that are broken: set aside, and the run goes on.

A full disk or a hand can spoil them; no result hangs on them. What is in them
is either written anew at each start, or in the checkpoints too.
"""

import pathlib
import shutil
from collections.abc import Callable
from typing import Any

from jmim.checkpoints import identity
from jmim.core import files
from jmim.runlog import writer as writers
from jmim.session import data_facts
from jmim.session import skips

ASIDE = "damaged"  # folder in the workdir, where damaged checkpoints go too


def _is_config(x: Any) -> bool:
  return isinstance(x, dict) and all(isinstance(v, dict) for v in _named(x))


def _named(config: dict[str, Any]) -> list[Any]:
  """The sections whose keys a class knows."""
  evals = config.get("evals", {})
  inner = evals.values() if isinstance(evals, dict) else ()
  return [config.get("method", {}), evals, *inner]


def _is_run(x: Any) -> bool:
  return isinstance(x, dict) and isinstance(x.get("starts"), list)


def _is_digests(x: Any) -> bool:
  return isinstance(x, dict) and all(isinstance(v, str) for v in x.values())


# File -> whether what was read can be its content.
FITS: dict[str, Callable[[Any], bool]] = {
  "config.json": _is_config,
  "run.json": _is_run,
  data_facts.NAME: data_facts.fits,
  identity.NAME: _is_digests,
  skips.NAME: skips.fits,
}


def check(workdir: pathlib.Path, write: bool) -> list[str]:
  """Moves broken files to workdir/damaged; of metrics.jsonl a copy.

  Args:
    workdir: of the run.
    write: False: they are only looked for.

  Returns:
    A line on each that was found.

  Raises:
    OSError: one cannot be moved.
  """
  lines = []
  for name, fits in FITS.items():
    if files.is_broken_json(workdir / name, fits):
      lines.append(f"{name} cannot be read: {_aside(workdir, name, write)}")
  if bad := writers.broken(workdir):
    text = _aside(workdir, writers.LINES, write, copy=True)
    lines.append(f"{bad} lines of {writers.LINES} cannot be read: {text}")
  return lines


def _aside(
  workdir: pathlib.Path, name: str, write: bool, copy: bool = False
) -> str:
  if not write:
    return "left out"
  target = workdir / ASIDE / name
  target.parent.mkdir(exist_ok=True)
  if copy:
    shutil.copyfile(workdir / name, target)
    return f"left out; as it was it is {target}"
  (workdir / name).replace(target)
  return f"moved to {target}"
