"""Writes the reference statistics of FID for a data set.

    python -m jmim.tools.make_fid_stats --name=cifar10 --split=train --size=32 \
      --inception=inception.npz --out=cifar10_train.npz
    ... --encoder=runs/cifar10        features of a run instead, offline

The file holds mean and covariance (all images), features of the first 10,000
of a fixed random order (KID, precision, recall), and the protocol: data,
split, size, crop, number of images, network with the hash of its weights.
"""

import argparse
import pathlib
import sys
from collections.abc import Sequence

from jmim.core import files
from jmim.core import home
from jmim.core import version
from jmim.data import pipeline
from jmim.data import sources
from jmim.evals import fid
from jmim.evals.lib import extract
from jmim.tools import cli


def main(argv: Sequence[str] | None = None) -> int:
  """Returns the exit code: 0 done, 2 a mistake."""
  parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawTextHelpFormatter
  )
  add = parser.add_argument
  add("--name", required=True, help="TFDS name or 'folder'")
  add("--split", default="train")
  add("--data_dir", default="")
  add("--size", type=int, required=True, help="image side [pixels]")
  add("--channels", type=int, choices=(1, 3), default=3)
  add("--crop", choices=("none", "center"), default="none")
  add("--resize", type=int, default=0, help="short side before the crop")
  add("--limit", type=int, default=0, help="images; 0: all")
  add("--batch", type=int, default=100)
  add("--inception", default="", help=".npz with the weights")
  add("--inception_sha256", default="")
  add("--encoder", default="", help="workdir of a run")
  add("--out", type=pathlib.Path, required=True)
  args = parser.parse_args(argv)
  return cli.run(lambda: make(args))


def make(args: argparse.Namespace) -> None:
  """Measures, and writes the file; raises as `extract.make` and sources do."""
  out = home.expand(args.out, "--out")
  files.check_writable(out.parent, "--out")
  network = extract.make(
    args.inception, args.inception_sha256, args.encoder, "flags"
  )
  source = sources.build(args.name, args.split, args.data_dir)
  spec = pipeline.Spec(
    batch=args.batch,
    size=args.size,
    eval_crop=args.crop,
    eval_resize=args.resize,
    channels=args.channels,
  )
  reference = fid.measure(network, source, spec, args.limit or None)
  about = {
    "data": args.name,
    "split": args.split,
    "size": args.size,
    "crop": args.crop,
    "resize": args.resize,
    "git": version.git_id(),
  }
  reference.protocol.update(about)
  fid.save(out, reference)
  print(f"{out}: {network.name}\n{reference.protocol}")


if __name__ == "__main__":
  sys.exit(main())
