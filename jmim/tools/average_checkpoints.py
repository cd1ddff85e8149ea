"""Averages the weights of several checkpoints, of one run or of several.

    python -m jmim.tools.average_checkpoints --workdir=RUN --last=5 \
      --out=mean.npz
    python -m jmim.tools.average_checkpoints --workdir=A,B,C --out=mean.npz

Fine-tuned runs of Step-Video are averaged so, which was better there than an
EMA. The last --last of each run (--steps=1000,2000: these) count alike. The
result is an .npz of named arrays: another run begins from it with
--config.init_from.path=mean.npz, or with a learning rate of 0 is it. Runs keep
two checkpoints; train.keep and train.keep_every_steps keep more.
"""

import argparse
import pathlib
import sys
from collections.abc import Sequence

from jmim.checkpoints import averaging
from jmim.checkpoints import frozen
from jmim.checkpoints import weights
from jmim.core import errors
from jmim.core import files
from jmim.core import home
from jmim.parallel import malloc
from jmim.tools import cli


def parse(argv: Sequence[str]) -> argparse.Namespace:
  """Arguments."""
  parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
  parser.add_argument("--workdir", required=True)
  parser.add_argument("--out", required=True, type=pathlib.Path)
  parser.add_argument("--last", default=1, type=int)
  parser.add_argument("--steps", default="")
  parser.add_argument(
    "--weights", default="raw", choices=tuple(weights.SECTIONS)
  )
  return parser.parse_args(argv)


def average(args: argparse.Namespace) -> None:
  """Writes the mean and says of what it is.

  Raises:
    UserError: steps that are no numbers, a file that is no .npz, or as
      `averaging.places` and `mean`.
  """
  try:
    steps = [int(step) for step in args.steps.split(",") if step]
  except ValueError:
    steps = [-1]
  if args.last < 1 or any(step < 0 for step in steps):
    raise errors.UserError(
      f"--last={args.last} --steps={args.steps}",
      "a number above 0; steps with commas between them",
      "correct it",
      "--steps",
    )
  if args.out.suffix != ".npz":
    raise errors.UserError(
      f"--out={args.out}", "a file .npz", "name one", "--out"
    )
  files.check_writable(args.out.parent, "--out")
  folders = [home.expand(w, "--workdir") for w in args.workdir.split(",")]
  chosen = averaging.places(folders, args.last, steps)
  found = averaging.mean(chosen, weights.SECTIONS[args.weights])
  frozen.save(args.out, found)
  for workdir, step in chosen:
    print(f"{workdir}, step {step}")
  print(f"done: {args.out}, the mean of {len(chosen)} checkpoints")


def main(argv: Sequence[str] | None = None) -> int:
  """Command line; returns the exit code."""
  args = parse(sys.argv[1:] if argv is None else argv)
  return cli.run(lambda: average(args))


if __name__ == "__main__":
  malloc.huge_pages()
  sys.exit(main())
