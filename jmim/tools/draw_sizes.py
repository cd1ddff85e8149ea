"""Draws what a run samples at several sizes, from the same noise.

    python -m jmim.tools.draw_sizes --workdir=W --out=sizes.png \
      --sizes=16,24,32,64,128

One row for each sample, one column for each size, all shown equally large. The
side is the config key --key, "method.first_stage.side" unless another is named.
"""

import argparse
import pathlib
import sys
from collections.abc import Sequence
from typing import Protocol

import numpy as np
import PIL.Image

import jmim
from jmim.core import errors
from jmim.core import files
from jmim.evals.lib import draw
from jmim.tools import cli


class Model(Protocol):
  """What is asked of a model, as of `jmim.hub.Model`."""

  def override(self, *items: str) -> "Model":
    """The same weights under another config."""

  def sample(self, num: int, *, seed: int = 0) -> np.ndarray:
    """uint8 images [num, h, w, c]."""


def columns(
  model: Model, key: str, sizes: Sequence[int], num: int
) -> dict[str, np.ndarray]:
  """Size -> uint8 [num, size, size, c], sample i of the same noise in all.

  Args:
    model: that samples.
    key: of the config, the side of a sample.
    sizes: sides [pixels].
    num: samples.
  """
  return {f"{n} px": model.override(f"{key}={n}").sample(num) for n in sizes}


def parse(argv: Sequence[str]) -> argparse.Namespace:
  """Arguments."""
  parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
  parser.add_argument("--workdir", required=True)
  parser.add_argument("--out", required=True, type=pathlib.Path)
  parser.add_argument("--sizes", default="16,24,32,64,128")
  parser.add_argument("--num", default=4, type=int)
  parser.add_argument("--weights", default="ema", choices=("raw", "ema"))
  parser.add_argument("--key", default="method.first_stage.side")
  return parser.parse_args(argv)


def run(args: argparse.Namespace) -> None:
  """Writes the picture.

  Raises:
    UserError: sizes that are no numbers, or as `jmim.load` and `sample`.
  """
  sizes = args.sizes.split(",")
  if not all(n.isdecimal() and int(n) for n in sizes):
    raise errors.UserError(
      f"--sizes={args.sizes}", "sides such as 16,32", "correct them", "--sizes"
    )
  files.check_writable(args.out.parent, "--out")
  model = jmim.load(args.workdir, weights=args.weights)
  made = columns(model, args.key, [int(n) for n in sizes], args.num)
  picture = draw.sheet(made, pairs=1, scale=max(1, 128 // int(sizes[0])))
  PIL.Image.fromarray(picture).save(args.out, optimize=True)
  print(f"done: {args.out}")


def main(argv: Sequence[str] | None = None) -> int:
  """Command line; returns the exit code."""
  args = parse(sys.argv[1:] if argv is None else argv)
  return cli.run(lambda: run(args))


if __name__ == "__main__":
  sys.exit(main())
