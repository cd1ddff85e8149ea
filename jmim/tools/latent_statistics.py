r"""Mean and deviation of each channel of the latents that a model reads.

    python -m jmim.tools.latent_statistics --out=statistics.npz \
      --config=configs/lightningdit_imagenet256.py --config.data.data_dir=DIR

The recipe is one of a model of latents: of stored moments, or of images with
the weights of its first stage (`method.first_stage.path`). Nothing is trained,
and no run is needed. Read are --limit examples of the training split as the
evaluation crops them, in a random order that is always the same; all of an
example's places count, and the posterior's variance, as of samples. Written:
`mean` and `std` [c] (the variance unbiased), which `first_stage.statistics`
names: latents are then normalised by channel (Yao et al. 2025: of at most
10,000 examples). `python -m jmim.tools.cache_latents` leaves such a file beside
what it stores, of all examples. --config.KEY=VALUE as for a run.
"""

import argparse
import pathlib
import sys
from collections.abc import Sequence

import jax
import numpy as np

from jmim.checkpoints import frozen
from jmim.core import config as configs
from jmim.core import errors
from jmim.core import method as methods
from jmim.data import augment
from jmim.data import pipeline
from jmim.methods.parts import first_stage as stages
from jmim.methods.parts import latent_channels
from jmim.metrics import latents
from jmim.parallel import malloc
from jmim.parallel import sharding
from jmim.session import assemble
from jmim.tools import cli


def measured(parts: assemble.Parts, limit: int) -> latents.Moments:
  """Statistics of examples of the training split.

  Args:
    parts: of the recipe.
    limit: examples; 0: all.

  Raises:
    UserError: a method without a first stage.
  """
  stage = getattr(parts.method, "first_stage", None)
  if not (isinstance(stage, stages.FirstStage) and stage.net):
    raise errors.UserError(
      f"method.type={parts.config.method.type!r} without a first stage",
      "a model of latents",
      "name its recipe, and method.first_stage.variant",
      "method.first_stage.variant",
    )
  where, reads = sharding.batch_sharding(parts.mesh), parts.method.inputs()
  name = next(n for n in ("moments", "video", "image") if n in reads)

  @jax.jit
  def read(consts, batch):
    weights = methods.Weights({}, {}, consts)
    return latent_channels.moments(stage.stage, stage.read, weights, batch)

  seen = latents.Moments()
  batches = pipeline.evaluation_batches(
    parts.sources["train"], parts.spec, limit or None
  )
  for batch in batches:
    put = {name: jax.device_put(batch[name], where)}
    made = np.asarray(
      read(parts.consts, augment.prepare_batch(parts.spec, put))
    )
    seen.add(made[batch["valid"]], stage.net.gaussian)
  return seen


def save(path: pathlib.Path, seen: latents.Moments) -> str:
  """Writes `mean` and `std` [c] float32; returns the hash of the file.

  Raises:
    UserError: a channel that is the same everywhere.
  """
  if seen.dead:
    raise errors.UserError(
      f"latents whose channels {seen.dead} have no deviation",
      "numbers that differ",
      "train the first stage, or give it fewer channels",
      None,
    )
  mean, std = seen.channels
  return frozen.save(path, {"mean": np.float32(mean), "std": np.float32(std)})


def parse(argv: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
  """Arguments and config overrides."""
  parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
  parser.add_argument("--config", required=True)
  parser.add_argument("--out", required=True, type=pathlib.Path, help=".npz")
  parser.add_argument("--limit", type=int, default=10_000, help="0: all")
  argv, overrides = cli.overrides(argv)
  args = parser.parse_args(argv)
  cli.check_npz(parser, args)
  if args.limit < 0:
    parser.error("--limit: 0 or more")
  return args, overrides


def main(argv: Sequence[str] | None = None) -> int:
  """Command line; returns the exit code."""
  args, overrides = parse(sys.argv[1:] if argv is None else argv)
  return cli.run(lambda: run(args, overrides))


def run(args: argparse.Namespace, overrides: Sequence[str]) -> None:
  """Measures, writes and prints; raises UserError as `measured`, `save`."""
  config = configs.override(configs.load(args.config), overrides)
  if "statistics" in config.method.get("first_stage", {}):
    config.method.first_stage.statistics = ""  # of what they are measured
  seen = measured(assemble.make(config), args.limit)
  digest = save(args.out, seen)
  mean, std = seen.channels
  print(
    f"{args.out}: {len(mean)} channels, means {mean.min():.4g} to "
    f"{mean.max():.4g}, std {std.min():.4g} to {std.max():.4g}\n"
    f"sha256 {digest}"
  )


if __name__ == "__main__":
  malloc.huge_pages()
  sys.exit(main())
