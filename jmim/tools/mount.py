"""Puts weights that were trained over a frozen host on another host.

    python -m jmim.tools.mount --part=PART --host=HOST --out=FOLDER

PART is a run of a method with `method.host` (DiffFit, say), or an export of it
(`--mode=export`); its own parameters are copied. HOST is a run, or an .npz of
its arrays, of the shape of the one that PART was trained on. FOLDER is an
export: `jmim.load` reads it. With --weights=ema the EMA of PART is taken; which
weights of HOST are, `method.host.weights` of PART's config says.
"""

import argparse
import pathlib
import sys
from collections.abc import Sequence

from jmim.convert import mounting
from jmim.core import files
from jmim.tools import cli


def parse(argv: Sequence[str]) -> argparse.Namespace:
  """Arguments."""
  parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
  parser.add_argument("--part", required=True)
  parser.add_argument("--host", required=True)
  parser.add_argument("--out", required=True, type=pathlib.Path)
  parser.add_argument("--weights", default="raw", choices=("raw", "ema"))
  return parser.parse_args(argv)


def mount(args: argparse.Namespace) -> None:
  """Writes the folder and prints what is on what; raises as `mounting.run`."""
  files.check_writable(args.out, "--out")
  lines = mounting.run(args.part, args.host, args.out, args.weights)
  print("\n".join([*lines, f"done: {args.out}"]))


def main(argv: Sequence[str] | None = None) -> int:
  """Command line; returns the exit code."""
  args = parse(sys.argv[1:] if argv is None else argv)
  return cli.run(lambda: mount(args))


if __name__ == "__main__":
  sys.exit(main())
