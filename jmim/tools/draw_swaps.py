"""Draws images that take over more and more of each other's codes.

    python -m jmim.tools.draw_swaps --workdir=W --out=swaps.png --num=6

One row for each of the first evaluation images: itself, and then its own noise
with the first blocks of the code of its neighbour in the row below or above.
The run's method must offer the output `swapped`.
"""

import argparse
import itertools
import sys
from collections.abc import Sequence

import jax
import numpy as np

from jmim.checkpoints import models
from jmim.core import errors
from jmim.core import objects
from jmim.data import augment
from jmim.data import pipeline
from jmim.evals.lib import draw
from jmim.evals.lib import predict
from jmim.session import build
from jmim.session import opened
from jmim.tools import cli
from jmim.tools import sheets

OUTPUT = "swapped"


def images(model: models.Model, num: int) -> np.ndarray:
  """uint8 [num, side, side, c] of the split that the run evaluates on.

  Raises:
    UserError: there are not as many.
  """
  config, data = model.config, model.config.data
  objects.check_data(config, "the config")
  sources = opened.make_sources(config)
  if num > len(sources["eval"]):
    raise errors.UserError(
      f"--num={num}",
      f"at most {len(sources['eval'])} images of {data.name}",
      "lower it",
      "--num",
    )
  spec = build.make_spec(config)
  batches = pipeline.evaluation_batches(sources["eval"], spec)
  rows = itertools.islice((x for b in batches for x in b["image"]), num)
  return np.stack(list(rows))


def columns(model: models.Model, stored: np.ndarray) -> dict[str, np.ndarray]:
  """Title -> uint8 [b, h, w, c], an image first, then with more of another.

  Args:
    model: of a run.
    stored: uint8 [b, h, w, c].

  Raises:
    UserError: its method has no such output, or what it gives is not finite.
  """
  offered = model.method.predict()
  if OUTPUT not in offered:
    raise errors.UserError(
      f"{model.config.method.type} offers {', '.join(sorted(offered))}",
      f"a method with the output {OUTPUT}",
      "name another workdir",
      "--workdir",
    )
  spec = build.make_spec(model.config)
  fn = jax.jit(predict.output(model.method, f"{OUTPUT}/image"))
  batch = {"image": augment.normalise(spec, stored)}
  made = np.asarray(fn(model.weights, batch, jax.random.key(0)))
  predict.require_finite(np.isfinite(made).all((1, 2, 3, 4)), "images")
  cuts = made.shape[1] - 1
  shown = {"image": stored}
  for j in range(cuts + 1):
    pixels = augment.denormalise(spec, made[:, j])
    shown[f"{100 * j // cuts} %"] = np.asarray(pixels)
  return shown


def parse(argv: Sequence[str]) -> argparse.Namespace:
  """Arguments."""
  return sheets.parser(__doc__, 6, weights=True).parse_args(argv)


def run(args: argparse.Namespace) -> None:
  """Writes the picture.

  Raises:
    UserError: fewer than two images, or as `images`, `columns` and `of_run`.
  """
  sheets.check(args, least=2)
  model = models.of_run(args.workdir, args.weights, "--workdir")
  made = columns(model, images(model, args.num))
  picture = draw.sheet(made, pairs=1)
  sheets.write(args, picture)


def main(argv: Sequence[str] | None = None) -> int:
  """Command line; returns the exit code."""
  args = parse(sys.argv[1:] if argv is None else argv)
  return cli.run(lambda: run(args))


if __name__ == "__main__":
  sys.exit(main())
