"""Draws what a procedure made of the first examples, with titled columns.

    python -m jmim.tools.draw_edits --workdir=runs/h --out=pcs.png --num=4

One row for each example: as it is, and then each direction at each strength,
"1 -2" being the first direction at strength -2. For procedures whose picture
has a direction for each of `alphas`: those of h-space.
"""

import argparse
import pathlib
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np

from jmim.core import errors
from jmim.core import run_config
from jmim.evals.lib import draw
from jmim.tools import cli
from jmim.tools import sheets

OUTPUT = "image"


def read(workdir: pathlib.Path, num: int) -> tuple[np.ndarray, dict[str, Any]]:
  """(uint8 [num, k, h, w, c] of the latest results, section `procedure`).

  Raises:
    UserError: there are none, not as many, or none with several pictures.
  """
  section = run_config.load(workdir).get("procedure", {})
  held = sheets.results(workdir, "eval")
  if not held:
    raise errors.UserError(
      f"{workdir} holds no results of a procedure",
      "the workdir of --mode=apply",
      "apply it first, to the split eval",
      "--workdir",
    )
  images = held.get(OUTPUT, np.zeros(0))
  if images.ndim != 5 or "alphas" not in section:
    raise errors.UserError(
      f"{workdir}: {section.get('type')} makes no edits by strength",
      "results of a procedure with the field alphas, as edit.h_space",
      "name another workdir",
      "--workdir",
    )
  if num > len(images):
    raise errors.UserError(
      f"--num={num}", f"at most {len(images)} results", "lower it", "--num"
    )
  return images[:num], section


def columns(
  images: np.ndarray, alphas: Sequence[float]
) -> dict[str, np.ndarray]:
  """Title -> uint8 [num, h, w, c].

  Args:
    images: [num, 1 + directions x alphas, h, w, c].
    alphas: strengths, innermost.
  """
  shown = {"as it is": images[:, 0]}
  for i in range(1, images.shape[1]):
    k, j = divmod(i - 1, len(alphas))
    shown[f"{k + 1} {alphas[j]:+g}"] = images[:, i]
  return shown


def parse(argv: Sequence[str]) -> argparse.Namespace:
  """Arguments."""
  return sheets.parser(__doc__, 4).parse_args(argv)


def run(args: argparse.Namespace) -> None:
  """Writes the picture.

  Raises:
    UserError: as `read`, fewer than one example, or a folder that cannot be
      written.
  """
  sheets.check(args)
  images, section = read(pathlib.Path(args.workdir), args.num)
  shown = columns(images, section["alphas"])
  picture = draw.sheet(shown, pairs=1, scale=max(1, 64 // images.shape[3]))
  sheets.write(args, picture)


def main(argv: Sequence[str] | None = None) -> int:
  """Command line; returns the exit code."""
  args = parse(sys.argv[1:] if argv is None else argv)
  return cli.run(lambda: run(args))


if __name__ == "__main__":
  sys.exit(main())
