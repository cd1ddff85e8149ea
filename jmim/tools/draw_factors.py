"""A grid of faces: each source in the guise of each query, for `draw_methods`.

    python -m jmim.tools.draw_factors WORKDIR --out edits.png

Without a run it shows the truth; of a run of `edit.difffae` on `faces/pairs`
what that makes.
"""

import argparse
import pathlib
import sys
from collections.abc import Callable
from collections.abc import Sequence

import numpy as np
import PIL.Image

from jmim import hub
from jmim.data.builders import faces as builder
from jmim.data.procedural import portrait_drawing
from jmim.data.procedural import portraits
from jmim.evals.lib import draw

SOURCES, QUERIES, SIZE, SCALE = 4, 5, 32, 3
FACTORS = builder.EDITED
Portraits = Sequence[portraits.Portrait]
# (sources, what they are to become), n each -> uint8 [n, h, w, 3].
Make = Callable[[Portraits, Portraits], np.ndarray]


def people() -> tuple[Portraits, Portraits]:
  """(sources, queries): people whom no training has seen."""
  rng = np.random.default_rng(3)
  first = builder.PEOPLE
  found = [
    portraits.Portrait(
      identity=builder.Faces.person(first + k),
      expression=portraits.draw_expression(rng),
      pose=portraits.draw_pose(rng),
      light=portraits.draw_light(rng),
    )
    for k in range(SOURCES + QUERIES)
  ]
  return found[:SOURCES], found[SOURCES:]


def truth(sources: Portraits, edited: Portraits) -> np.ndarray:
  """What they are to become, drawn."""
  del sources
  return _drawn(portrait_drawing.render, edited)


def of_run(workdir: str) -> Make:
  """What a run of `edit.difffae` makes of them."""
  model = hub.load(workdir, weights="ema")
  wanted = model.method.sample_reads()
  scaled = lambda x: np.float32(x / 127.5 - 1)

  def make(sources: Portraits, edited: Portraits) -> np.ndarray:
    known = {
      "source": scaled(_drawn(portrait_drawing.render, sources)),
      "rendering": scaled(_drawn(portrait_drawing.bald, edited)),
    }
    for name in FACTORS:
      known[name] = np.stack([getattr(p, name).numbers for p in edited])
    read = {name: known[name] for name in wanted}
    found = model("edit", batch_size=len(sources), **read)["image"]
    pixels = (np.asarray(found, np.float32) + 1) * 127.5
    return pixels.round().clip(0, 255).astype(np.uint8)

  return make


def grid(make: Make = truth) -> np.ndarray:
  """uint8 [H, W, 3]: queries above, sources on the left, what is made within.

  Args:
    make: makes them.
  """
  sources, queries = people()
  pairs = [(s, s.taking(q, FACTORS)) for s in sources for q in queries]
  made = make(*zip(*pairs, strict=True))
  made = made.reshape(SOURCES, QUERIES, *made.shape[1:])
  empty = np.full((1, SIZE, SIZE, 3), 255, np.uint8)
  rows = [np.concatenate([empty, _drawn(portrait_drawing.render, queries)])]
  left = _drawn(portrait_drawing.render, sources)
  rows += [
    np.concatenate([x[None], y]) for x, y in zip(left, made, strict=True)
  ]
  side = (SIZE * SCALE, SIZE * SCALE)
  large = [draw.enlarge(row, side) for row in rows]
  return np.concatenate([np.concatenate(list(x), axis=1) for x in large])


def _drawn(fn, who) -> np.ndarray:
  return np.stack([fn(portrait, SIZE) for portrait in who])


def edits(path: pathlib.Path) -> None:
  """The grid of the truth."""
  image = PIL.Image.fromarray(grid())
  image.quantize(128).save(path, optimize=True)


FIGURES = {"difffae": edits}


def main(argv: Sequence[str] | None = None) -> int:
  """Command line; returns the exit code."""
  parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
  parser.add_argument("workdir", help="run of edit.difffae")
  parser.add_argument("--out", type=pathlib.Path, default="edits.png")
  args = parser.parse_args(argv)
  PIL.Image.fromarray(grid(of_run(args.workdir))).save(args.out)
  print(args.out)
  return 0


if __name__ == "__main__":
  sys.exit(main())
