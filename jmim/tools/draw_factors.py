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

import jax
import numpy as np
import PIL.Image

from jmim.checkpoints import models
from jmim.data.builders import faces as builder
from jmim.data.procedural import drawing
from jmim.data.procedural import portrait_drawing
from jmim.data.procedural import portraits
from jmim.evals.lib import draw
from jmim.evals.lib import predict
from jmim.tools import cli
from jmim.tools import sheets

SOURCES, QUERIES, SIZE, SCALE = 4, 5, 32, 3
FACTORS, OUTPUT = builder.EDITED, "edit"
Portraits = Sequence[portraits.Portrait]
# (sources, what they are to become), n each -> uint8 [n, h, w, 3].
Make = Callable[[Portraits, Portraits], np.ndarray]


def people() -> tuple[Portraits, Portraits]:
  """(sources, queries): people whom no training has seen."""
  rng = np.random.default_rng(3)
  first = builder.PEOPLE
  found = [
    portraits.draw(rng, builder.Faces.person(first + k))
    for k in range(SOURCES + QUERIES)
  ]
  return found[:SOURCES], found[SOURCES:]


def truth(sources: Portraits, edited: Portraits) -> np.ndarray:
  """What they are to become, drawn."""
  del sources
  return _drawn(portrait_drawing.render, edited)


def of_run(workdir: str) -> Make:
  """What the EMA of a run of `edit.difffae` makes of them.

  Raises:
    UserError: no such run, or of a method that does not edit faces.
  """
  model = models.of_run(workdir, "ema", "WORKDIR")
  method = model.method
  sheets.check_offers(model, OUTPUT, "edit.difffae", "WORKDIR")
  fn = jax.jit(predict.output(method, f"{OUTPUT}/image"))
  scaled = lambda x: np.float32(x / 127.5 - 1)

  def make(sources: Portraits, edited: Portraits) -> np.ndarray:
    known = {
      "source": scaled(_drawn(portrait_drawing.render, sources)),
      "rendering": scaled(_drawn(portrait_drawing.bald, edited)),
    }
    for name in FACTORS:
      known[name] = np.stack([getattr(p, name).numbers for p in edited])
    read = {name: known[name] for name in method.sample_reads()}
    made = np.asarray(fn(model.weights, read, jax.random.key(0)), np.float32)
    return drawing.levels((made + 1) * 127.5)

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
  large = [draw.fitted(row, side) for row in rows]
  return np.concatenate([np.concatenate(list(x), axis=1) for x in large])


def _drawn(fn, who) -> np.ndarray:
  return np.stack([fn(portrait, SIZE) for portrait in who])


def edits(path: pathlib.Path) -> None:
  """The grid of the truth."""
  sheets.write_few(path, grid(), colours=128)


FIGURES = {"difffae": edits}


def main(argv: Sequence[str] | None = None) -> int:
  """Command line; returns the exit code."""
  parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
  parser.add_argument("workdir", help="run of edit.difffae")
  parser.add_argument("--out", type=pathlib.Path, default="edits.png")
  args = parser.parse_args(argv)

  def run():
    PIL.Image.fromarray(grid(of_run(args.workdir))).save(args.out)
    print(args.out)

  return cli.run(run)


if __name__ == "__main__":
  sys.exit(main())
