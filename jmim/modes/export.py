"""--mode=export: the weights of a run in a layout of others; no config."""

import pathlib

from jmim.convert import exporting
from jmim.core import errors
from jmim.core import files
from jmim.core import home


def run(
  workdir: pathlib.Path | None,
  out: str | None,
  format: str,
  weights: str | None,
) -> None:
  """Writes the newest checkpoint of a run as a folder of weights.

  Args:
    workdir: of the run, whose config is in it.
    out: folder to write.
    format: one of `exporting.FORMATS`.
    weights: "raw" or "ema"; None: raw.

  Raises:
    UserError: a flag is missing, no checkpoint, or a method that the format
      has no place for.
  """
  for name, value in (("workdir", workdir), ("out", out)):
    if not value:
      raise errors.UserError(
        f"--mode=export without --{name}",
        "--workdir=RUN --out=FOLDER",
        "add it",
        f"--{name}",
      )
  folder = home.expand(out, "--out")
  files.check_writable(folder, "--out")
  lines = exporting.run(workdir, format, folder, weights or "raw")
  print("\n".join([*lines, f"done: {folder}"]))
