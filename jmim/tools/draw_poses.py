"""Draws the hypotheses of a run over the heatmaps they were made of.

    python -m jmim.tools.draw_poses --workdir=W --out=poses.png --num=4

One picture for each of the first evaluation examples: ten hypotheses in red and
the true pose in white. The run's method must offer the output `poses`.
"""

import argparse
import sys
from collections.abc import Sequence

import jax
import numpy as np

from jmim.checkpoints import models
from jmim.core import errors
from jmim.core import method as methods
from jmim.evals.lib import draw
from jmim.evals.lib import predict
from jmim.evals.lib import skeletons
from jmim.tools import cli
from jmim.tools import draw_outputs
from jmim.tools import sheets

OUTPUT = "poses"
HYPOTHESES = 10


def pictures(model: models.Model, batch: methods.Batch) -> np.ndarray:
  """uint8 [b, side, side, 3], one per example.

  Args:
    model: of a run.
    batch: of `draw_outputs.batch_of`.

  Raises:
    UserError: its method has no poses, they are not finite, or too few joints
      have a heatmap.
  """
  method = model.method
  sheets.check_offers(model, OUTPUT, "pose.diffpose")
  fn = jax.jit(predict.output(method, OUTPUT))
  out = fn(model.weights, batch, jax.random.key(0))
  out = jax.tree.map(np.asarray, out)
  finite = np.isfinite(out["hypotheses"]).all((1, 2, 3))
  predict.require_finite(finite, "poses")
  if not skeletons.placed(out["spread"]).all():
    raise errors.UserError(
      f"a run with heatmaps of fewer than {skeletons.LEAST} joints of a pose "
      "(method.body.order)",
      f"{skeletons.LEAST} at least, by which a pose is placed over them",
      "name a run whose heatmaps show more joints",
      "--workdir",
    )
  return skeletons.over(
    out["map"],
    out["hypotheses"][:, :HYPOTHESES],
    out["target"],
    places=out["places"],
    seen=out["spread"] >= 0,
  )


def parse(argv: Sequence[str]) -> argparse.Namespace:
  """Arguments."""
  return sheets.parser(__doc__, 4, weights=True).parse_args(argv)


def run(args: argparse.Namespace) -> None:
  """Writes the picture.

  Raises:
    UserError: as `pictures`, `draw_outputs.batch_of` and `models.of_run`.
  """
  sheets.check(args)
  model = models.of_run(args.workdir, args.weights, "--workdir")
  batch = draw_outputs.batch_of(model, args.num)
  drawn = {"hypotheses": pictures(model, batch)}
  sheets.write(args, draw.sheet(drawn, pairs=args.num, scale=1))


def main(argv: Sequence[str] | None = None) -> int:
  """Command line; returns the exit code."""
  args = parse(sys.argv[1:] if argv is None else argv)
  return cli.run(lambda: run(args))


if __name__ == "__main__":
  sys.exit(main())
