"""Draws what a run samples at several sizes, from the same noise.

    python -m jmim.tools.draw_sizes --workdir=W --out=sizes.png \
      --sizes=16,24,32,64,128

One row for each sample, one column for each size, all shown equally large.
--key: the side of a sample in the config, "method.first_stage.implicit.side".
"""

import argparse
import sys
from collections.abc import Sequence

import jax
import numpy as np

from jmim.checkpoints import models
from jmim.core import config as configs
from jmim.core import discovery
from jmim.core import errors
from jmim.evals.lib import draw
from jmim.evals.lib import predict
from jmim.tools import cli
from jmim.tools import sheets


def columns(
  model: models.Model, key: str, sizes: Sequence[int], num: int
) -> dict[str, np.ndarray]:
  """Size -> uint8 [num, size, size, c], sample i of the same noise in all.

  Args:
    model: of a run that samples.
    key: of the config, the side of a sample.
    sizes: sides [pixels].
    num: samples.

  Raises:
    UserError: no such key, a method that does not sample, or samples that are
      not finite.
  """
  made, spec = {}, model.images
  for n in sizes:
    config = configs.override(model.config, [f"{key}={n}"])
    method = discovery.make(config.method)
    if "sample" not in method.predict():
      raise errors.UserError(
        f"{config.method.type} does not sample",
        "a run of diffusion, with a decoder",
        "name another workdir",
        "--workdir",
      )
    batch = predict.conditions(method, np.arange(num), None)
    sample = jax.jit(predict.samples(method, spec))
    images, finite = sample(model.weights, batch, jax.random.key(0))
    predict.require_finite(finite, "samples")
    made[f"{n} px"] = np.asarray(images)
  return made


def parse(argv: Sequence[str]) -> argparse.Namespace:
  """Arguments."""
  parser = sheets.parser(__doc__, 4, weights=True)
  parser.add_argument("--sizes", default="16,24,32,64,128")
  parser.add_argument("--key", default="method.first_stage.implicit.side")
  return parser.parse_args(argv)


def run(args: argparse.Namespace) -> None:
  """Writes the picture.

  Raises:
    UserError: sizes that are no numbers, or as `columns` and `models.of_run`.
  """
  sizes = args.sizes.split(",")
  if not all(n.isdecimal() and int(n) for n in sizes):
    raise errors.UserError(
      f"--sizes={args.sizes}", "sides such as 16,32", "correct them", "--sizes"
    )
  sheets.check(args)
  model = models.of_run(args.workdir, args.weights, "--workdir")
  made = columns(model, args.key, [int(n) for n in sizes], args.num)
  picture = draw.sheet(made, pairs=1, scale=max(1, 128 // int(sizes[0])))
  sheets.write(args, picture)


def main(argv: Sequence[str] | None = None) -> int:
  """Command line; returns the exit code."""
  args = parse(sys.argv[1:] if argv is None else argv)
  return cli.run(lambda: run(args))


if __name__ == "__main__":
  sys.exit(main())
