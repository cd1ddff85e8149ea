"""Draws the pictures of docs/methods.md: what each method hides, and a curve.

    python -m jmim.tools.draw_methods [--out docs/images/methods] [NAME ...]

Sheets are made by `draw_masks` and `draw_tokens`, figures by the
others of MAKERS.
"""

import argparse
import pathlib
import sys
from collections.abc import Sequence

import PIL.Image

from jmim.evals.lib import draw as sheets
from jmim.tools import draw_clouds
from jmim.tools import draw_curves
from jmim.tools import draw_dancers
from jmim.tools import draw_depths
from jmim.tools import draw_faces
from jmim.tools import draw_factors
from jmim.tools import draw_flows
from jmim.tools import draw_masks
from jmim.tools import draw_scenes
from jmim.tools import draw_tasks
from jmim.tools import draw_tokens
from jmim.tools import draw_volumes

OUT = pathlib.Path("docs") / "images" / "methods"
# Of single figures, FIGURES: name -> function of a path.
MAKERS = (
  *(draw_curves, draw_clouds, draw_dancers, draw_depths, draw_faces),
  *(draw_factors, draw_flows, draw_scenes, draw_tasks, draw_volumes),
)


def main(argv: Sequence[str] | None = None) -> int:
  """Command line; returns the exit code."""
  parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
  drawn = draw_masks.SHEETS | draw_tokens.SHEETS
  figures = {k: f for maker in MAKERS for k, f in maker.FIGURES.items()}
  known = (*drawn, *figures)
  parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(known))
  parser.add_argument("--out", type=pathlib.Path, default=OUT)
  args = parser.parse_args(argv)
  if unknown := set(args.names) - set(known):
    parser.error(f"{', '.join(sorted(unknown))}: not one of {', '.join(known)}")
  args.out.mkdir(parents=True, exist_ok=True)
  for name in args.names or known:
    path = args.out / f"{name}.png"
    if name in figures:
      figures[name](path)
    else:
      pictures = draw_masks.pictures(draw_masks.ROWS)
      columns = drawn[name](pictures)
      picture = sheets.sheet(columns, pairs=1, scale=1)
      image = PIL.Image.fromarray(picture)
      image.reduce(2).quantize(64).save(path, optimize=True)
    print(path)
  return 0


if __name__ == "__main__":
  sys.exit(main())
