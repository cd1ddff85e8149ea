"""Makes the report of a run, or of several beside each other.

    python -m jmim.report DIR1 [DIR2 ...] [--out=FILE]

The page is one file without links to the network. Training writes it for its
own run, as report.html in the workdir, at each evaluation and at the end.
"""

import argparse
import pathlib
import sys
from collections.abc import Sequence

from jmim.core import errors
from jmim.report import page


def main(argv: Sequence[str] | None = None) -> int:
  """Command line; returns the exit code."""
  parser = argparse.ArgumentParser(
    prog="python -m jmim.report", description=__doc__.split("\n")[0]
  )
  parser.add_argument("workdirs", metavar="DIR", nargs="+", type=pathlib.Path)
  parser.add_argument(
    "--out",
    metavar="FILE",
    type=pathlib.Path,
    help="page to write (default: report.html in DIR; for several, here)",
  )
  args = parser.parse_args(argv)
  alone = len(args.workdirs) == 1
  folder = args.workdirs[0] if alone else pathlib.Path()
  try:
    print(page.write(args.workdirs, args.out or folder / "report.html"))
  except errors.UserError as e:
    print(f"error:\n{e.screen()}", file=sys.stderr)
    return 2
  except OSError as e:
    print(f"error: the page cannot be written: {e}", file=sys.stderr)
    return 2
  return 0


if __name__ == "__main__":
  sys.exit(main())
