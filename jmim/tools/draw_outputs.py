"""Draws what a run makes of the first evaluation images, column by column.

    python -m jmim.tools.draw_outputs --workdir=W --out=starts.png \
      "input=restore/input" "estimate=estimate/image" \
      "10=restore/image method.contraction.start=10" "target=restore/target"

One row per image. A column is TITLE=OUTPUT, of the outputs that the run's
method offers, and then changes of the run's config, KEY=VALUE each; smaller
images are enlarged. Outputs are in the units of the inputs, and cut at black
and white; those of --signed are drawn around grey, scaled so that the largest
of a column is black or white. Those of --mean are the mean of 256 draws: where
an output is random, what its draws have in common.
"""

import argparse
import sys
from collections.abc import Sequence

import jax
import numpy as np

from jmim.checkpoints import models
from jmim.core import errors
from jmim.core import method as methods
from jmim.core import objects
from jmim.data import augment
from jmim.data import pipeline
from jmim.evals.lib import draw
from jmim.evals.lib import predict
from jmim.session import build
from jmim.session import opened
from jmim.tools import cli
from jmim.tools import sheets

DRAWS = 256


def batch_of(model: models.Model, num: int) -> methods.Batch:
  """The first examples of the split that the run evaluates on, prepared.

  Raises:
    UserError: there are not as many in a batch.
  """
  spec = build.make_spec(model.config)
  objects.check_data(model.config, "the config")
  source = opened.make_sources(model.config)["eval"]
  first = next(iter(pipeline.evaluation_batches(source, spec)))
  if not 0 < num <= min(spec.batch, len(source)):
    raise errors.UserError(
      f"--num={num}",
      f"1 to {min(spec.batch, len(source))}, as many as are in a batch",
      "change it",
      "--num",
    )
  first = {name: x[:num] for name, x in first.items()}
  return augment.prepare_batch(spec, first)


def column(
  model: models.Model,
  batch: methods.Batch,
  text: str,
  *,
  signed: Sequence[str] = (),
  mean: Sequence[str] = (),
) -> tuple[str, np.ndarray]:
  """(title, uint8 [b, h, w, c], of the size of the images or smaller).

  Args:
    model: of a run.
    batch: of `batch_of`.
    text: "TITLE=OUTPUT KEY=VALUE ...".
    signed: titles of columns drawn around grey.
    mean: titles of columns that are means of `DRAWS` draws.

  Raises:
    UserError: no such output, one that is no images, an unknown key, or what
      is made is not finite.
  """
  first, *changes = text.split()
  title, equals, output = first.partition("=")
  if not (title and equals and output):
    raise errors.UserError(
      text, "TITLE=OUTPUT and perhaps KEY=VALUE", "correct it", None
    )
  method, spec = model.changed(changes).method, build.make_spec(model.config)
  offered = method.predict()
  if output.partition("/")[0] not in offered:
    raise errors.UserError(
      f"output {output!r}",
      f"one of {', '.join(sorted(offered))}",
      "ask for one of these",
      None,
    )
  fn = jax.jit(predict.output(method, output))
  made = jax.tree.map(np.asarray, fn(model.weights, batch, jax.random.key(0)))
  if isinstance(made, dict) or made.ndim != 4:
    entries = isinstance(made, dict)
    seen = ", ".join(sorted(made)) if entries else f"{made.shape}"
    raise errors.UserError(
      f"{output} gives {seen}",
      "images [b, h, w, c]",
      f"name one entry, as {output}/image",
      None,
    )
  if title in mean:
    keys = jax.random.split(jax.random.key(0), DRAWS)
    made = sum(fn(model.weights, batch, key) for key in keys) / DRAWS
    made = np.asarray(made)
  predict.require_finite(np.isfinite(made).all((1, 2, 3)), "images")
  if title in signed:
    share = made / max(np.abs(made).max(), 1e-12)
    return title, (127.5 * (1 + share)).round().astype(np.uint8)
  return title, np.asarray(augment.denormalise(spec, made))


def parse(argv: Sequence[str]) -> argparse.Namespace:
  """Arguments."""
  parser = sheets.parser(__doc__, 6, weights=True)
  parser.add_argument("columns", nargs="+", metavar="TITLE=OUTPUT [KEY=VALUE]")
  names = lambda text: tuple(n for n in text.split(",") if n)
  parser.add_argument("--signed", default=(), type=names)
  parser.add_argument("--mean", default=(), type=names)
  return parser.parse_args(argv)


def run(args: argparse.Namespace) -> None:
  """Writes the picture.

  Raises:
    UserError: as `batch_of`, `column` and `of_run`.
  """
  sheets.check(args)
  model = models.of_run(args.workdir, args.weights, "--workdir")
  batch = batch_of(model, args.num)
  around = dict(signed=args.signed, mean=args.mean)
  made = dict(column(model, batch, text, **around) for text in args.columns)
  side = np.max([x.shape[1:3] for x in made.values()], axis=0)
  sheet = {title: draw.fitted(x, side) for title, x in made.items()}
  picture = draw.sheet(sheet, pairs=1)
  sheets.write(args, picture)


def main(argv: Sequence[str] | None = None) -> int:
  """Command line; returns the exit code."""
  args = parse(sys.argv[1:] if argv is None else argv)
  return cli.run(lambda: run(args))


if __name__ == "__main__":
  sys.exit(main())
