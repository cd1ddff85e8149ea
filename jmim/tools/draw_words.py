"""Draws what DiffuMask made: images, maps of a word over them, masks.

    python -m jmim.tools.draw_words --workdir=runs/masks --out=words.png --num=4

One row for each example of the latest results of edit.diffumask (the word's map
over its image, the mask of its own threshold, the seeds) or of
edit.diffumask_masks (the mask of the walk, the final one). What is outside a
mask is dark, what is not known grey.
"""

import argparse
import pathlib
import sys
from collections.abc import Mapping
from collections.abc import Sequence

import numpy as np

from jmim.core import errors
from jmim.evals.lib import draw
from jmim.tools import cli
from jmim.tools import sheets

MAP = "word_map"
MASKS = ("seeds", "walked", "mask")  # in this order, as far as there are any
SHARE = 0.6  # of the map's colour over the image
UNKNOWN = 255


def read(workdir: pathlib.Path, num: int) -> dict[str, np.ndarray]:
  """Entries of the first results: name -> [num, ...].

  Raises:
    UserError: there are none, not as many, or none with a map of a word.
  """
  held = sheets.results(workdir)
  if MAP not in held:
    raise errors.UserError(
      f"{workdir}: {', '.join(held) or 'no results of a procedure'}",
      "results of edit.diffumask or edit.diffumask_masks",
      "apply one of them first, or name another workdir",
      "--workdir",
    )
  if num > len(held[MAP]):
    raise errors.UserError(
      f"--num={num}", f"at most {len(held[MAP])} results", "lower it", "--num"
    )
  return {name: x[:num] for name, x in held.items()}


def columns(rows: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
  """Title -> uint8 [num, h, w, 3]."""
  image = rows["image"]
  heat = draw.heat(rows[MAP], 0.0, 1.0)
  over = SHARE * heat + (1 - SHARE) * image
  shown = {"image": image, "map": over.round().astype(np.uint8)}
  for name in MASKS:
    if name in rows:
      mask = rows[name][..., None]
      light = np.where(mask == 1, image, image // 4)
      grey = np.full_like(image, 128)
      shown[name] = np.where(mask == UNKNOWN, grey, light)
  return shown


def parse(argv: Sequence[str]) -> argparse.Namespace:
  """Arguments."""
  return sheets.parser(__doc__, 4).parse_args(argv)


def run(args: argparse.Namespace) -> None:
  """Writes the picture.

  Raises:
    UserError: as `read`, or a folder that cannot be written.
  """
  sheets.check(args)
  shown = columns(read(pathlib.Path(args.workdir), args.num))
  picture = draw.sheet(shown, pairs=1)
  sheets.write(args, picture)


def main(argv: Sequence[str] | None = None) -> int:
  """Command line; returns the exit code."""
  args = parse(sys.argv[1:] if argv is None else argv)
  return cli.run(lambda: run(args))


if __name__ == "__main__":
  sys.exit(main())
