"""--mode=export: the weights of a run in a layout of others; no config."""

import pathlib

from jmim.convert import exporting
from jmim.convert import hubs
from jmim.core import errors
from jmim.core import files
from jmim.core import home


def run(
  workdir: pathlib.Path | None,
  out: str | None,
  format: str,
  weights: str | None,
  head: str | None = None,
  push: str | None = None,
  private: bool = False,
) -> None:
  """Writes the newest checkpoint of a run as a folder of weights.

  Args:
    workdir: of the run, whose config is in it.
    out: folder to write.
    format: one of `exporting.FORMATS`.
    weights: "raw" or "ema"; None: raw.
    head: evaluator whose linear classifier goes with the encoder.
    push: "user/name", where the folder is then uploaded to on the hub.
    private: the repository is made a private one.

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
  if push:
    hubs.check(push)
  lines = exporting.run(
    workdir, format, folder, weights=weights or "raw", head=head or ""
  )
  print("\n".join([*lines, f"done: {folder}"]))
  if push:
    print(f"uploaded: {hubs.push(folder, push, private)}")
