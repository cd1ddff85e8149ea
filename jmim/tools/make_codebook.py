r"""k-means of what a method gives codes to: the table of a tokenizer.

    python -m jmim.tools.make_codebook --config=configs/codebook_cifar10.py \
      --out=codes.npz --codes=256
    ... --config=configs/codebook_cifar10.py:features=RUN ...
    python -m jmim.tools.make_codebook --npy=km_8k.npy --out=codes.npz

The recipe is one of a method that offers `vectors` (`mim.codebook`: pixels of
patches, or features of a frozen ViT, a run or converted weights); nothing is
trained, and no run of its own is needed. Images are those of the evaluation's
crop of the training split, a share of them at random (--share), and of their
vectors at most --per_code times the number of codes, as faiss does. Written:
`codes` [k, d], which `method.semantic.codebook`, `method.tokenizer.codebook`
and the like name. With --npy it is read instead: a table [k, d] of others, as
faiss leaves them (DiGIT's). Printed: the mean squared distance to the nearest,
before and after, and its hash. --config.KEY=VALUE as for a run.
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
from jmim.metrics import kmeans
from jmim.parallel import malloc
from jmim.parallel import sharding
from jmim.session import assemble
from jmim.tools import cli


def vectors(
  parts: assemble.Parts, share: float, most: int, seed: int
) -> np.ndarray:
  """float32 [n, d] of images of the training split, n <= most.

  Args:
    parts: of the recipe.
    share: of the images, always the same.
    most: vectors, a random choice of those of these images.
    seed: of that choice.

  Raises:
    UserError: a method that offers no vectors.
  """
  offered = parts.method.predict()
  if "vectors" not in offered:
    raise errors.UserError(
      f"method.type={parts.config.method.type!r} offers "
      f"{', '.join(sorted(offered))}",
      "a method that offers `vectors`",
      "name a recipe of mim.codebook",
      "method.type",
    )
  source, where = parts.sources["train"], sharding.batch_sharding(parts.mesh)
  rng, images = np.random.default_rng(seed), max(1, round(share * len(source)))
  each = -(-most // images)

  @jax.jit
  def read(batch):
    weights = methods.Weights({}, {}, parts.consts)
    return offered["vectors"](weights, batch, jax.random.key(0))

  rows = []
  for batch in pipeline.evaluation_batches(source, parts.spec, images):
    put = {"image": jax.device_put(batch["image"], where)}
    made = np.asarray(read(augment.prepare_batch(parts.spec, put)))
    # A few of every image rather than all of a few.
    rows += [
      row[rng.permutation(len(row))[:each]] for row in made[batch["valid"]]
    ]
  found = np.concatenate(rows).astype(np.float32)
  return found[rng.permutation(len(found))[:most]]


def parse(argv: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
  """Arguments and config overrides."""
  parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
  source = parser.add_mutually_exclusive_group(required=True)
  source.add_argument("--config")
  source.add_argument("--npy", type=pathlib.Path, help="table of others")
  parser.add_argument("--out", required=True, type=pathlib.Path, help=".npz")
  parser.add_argument("--codes", type=int, default=256)
  parser.add_argument("--iterations", type=int, default=20)
  parser.add_argument("--share", type=float, default=1.0, help="of the images")
  parser.add_argument("--per_code", type=int, default=256, help="vectors")
  parser.add_argument("--seed", type=int, default=0)
  argv, overrides = cli.overrides(argv)
  args = parser.parse_args(argv)
  cli.check_least(parser, args, "codes", "iterations", "per_code")
  if not 0 < args.share <= 1:
    parser.error("--share: above 0, at most 1")
  cli.check_npz(parser, args)
  return args, overrides


def main(argv: Sequence[str] | None = None) -> int:
  """Command line; returns the exit code."""
  args, overrides = parse(sys.argv[1:] if argv is None else argv)
  return cli.run(lambda: run(args, overrides))


def read(path: pathlib.Path) -> np.ndarray:
  """float32 [k, d], the table of a .npy file.

  Raises:
    UserError: no such file, or no table of finite numbers in it.
  """
  if not path.is_file() or path.suffix != ".npy":
    raise errors.UserError(
      f"no file {path}" if not path.is_file() else f"{path}",
      "a .npy file",
      "give the path of a table of centroids",
      "--npy",
    )
  found = np.load(path, allow_pickle=False)
  if found.ndim != 2 or found.dtype.kind != "f" or not np.isfinite(found).all():
    raise errors.UserError(
      f"{path}: {found.dtype} {list(found.shape)}",
      "finite numbers [codes, width]",
      "give a table of centroids",
      "--npy",
    )
  return found.astype(np.float32)


def run(args: argparse.Namespace, overrides: Sequence[str]) -> None:
  """Fits, writes and prints; raises UserError as `vectors` and `read`."""
  if args.npy:
    found = read(args.npy)
    digest = frozen.save(args.out, {"codes": found})
    print(
      f"{args.out}: {len(found)} codes of {found.shape[1]}\nsha256 {digest}"
    )
    return
  config = configs.override(configs.load(args.config), overrides)
  parts = assemble.make(config)
  most = args.codes * args.per_code
  found = vectors(parts, args.share, most, args.seed)
  if len(found) < args.codes:
    raise errors.UserError(
      f"{len(found):,} vectors for --codes={args.codes}",
      "at least as many vectors",
      "ask for fewer codes, or take more images",
      "--codes",
    )
  made = kmeans.lloyd(found, args.codes, args.iterations, args.seed)
  digest = frozen.save(args.out, {"codes": made.codes})
  used = int((made.counts > 0).sum())
  print(
    f"{args.out}: {len(made.codes)} codes ({used} used) of {len(found):,} "
    f"vectors of {found.shape[1]}\nsha256 {digest}\nmean squared distance "
    f"{made.errors[0]:.5g} at the start, {made.errors[-1]:.5g} after "
    f"{args.iterations} steps"
  )


if __name__ == "__main__":
  malloc.huge_pages()
  sys.exit(main())
