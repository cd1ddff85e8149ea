"""Encodes a data set once: moments of a frozen autoencoder, as a data set.

    python -m jmim.tools.cache_latents --config=configs/autoencoder_kl_X.py \
      --workdir=RUN --name=imagenet256_latents --out=DATA_DIR --views=2

RUN is a trained autoencoder, or published weights (`python -m jmim.convert`
makes a run of them). What is read is the `data` section of its config; other
data by --config.data.name=... and so on. The result is an ordinary ArrayRecord
data set of TFDS with the splits "train" and "test": moments [h, w, 2 c], of an
autoencoder of clips [t, h, w, 2 c] (KL: mean, log variance; VQ: the code before
quantisation), the label if there is one, and the index of the example. A method
with `first_stage` set and read="moments" trains on it and draws a new posterior
sample in every step.
With --output=codes an autoencoder with a codebook stores its tokens instead,
int32 [h w] in raster order, for a method of tokens (`discrete.mdm`); a method
with several kinds of codes stores all of them, of the same view
(`discrete.digit_pixels`). Without --workdir nothing that is trained is read:
frozen networks alone must make them.

With --views=n the training split holds n passes of the training augmentation
(crops and flips of encoded images are not crops and flips of latents), with
--views=0 one pass of the evaluation's crop. Printed at the end: the standard
deviation of the latents, whose inverse is LDM's scale factor, or how many codes
are used. Beside the data `statistics.npz` has mean and deviation by channel for
`first_stage.statistics` (there is none where a channel never changes).
"""

import argparse
import contextlib
import json
import pathlib
import sys
from collections.abc import Iterator
from collections.abc import Sequence
from typing import Any

import numpy as np

from jmim.core import config as configs
from jmim.data import splits
from jmim.data import write
from jmim.metrics import latents
from jmim.parallel import malloc
from jmim.session import assemble
from jmim.session import session as sessions
from jmim.tools import cli
from jmim.tools import latent_encoder
from jmim.tools import latent_statistics

STATISTICS = "statistics.npz"
Statistics = latents.Moments | latents.Codes


class Several(dict):
  """Name -> statistics of what is encoded."""

  def __str__(self) -> str:
    return "\n".join(f"{name}: {own}" for name, own in self.items())


def examples(
  batches: Iterator[latent_encoder.Rows],
  statistics: Several,
  gaussian: bool,
  dtype: str,
) -> Iterator[dict[str, Any]]:
  """The example of every row.

  Args:
    batches: of an encoder.
    statistics: count what is encoded.
    gaussian: moments have log variances.
    dtype: that it is stored in.
  """
  for rows in batches:
    for name, own in statistics.items():
      own.add(rows[name], gaussian)
    for i in range(len(rows["index"])):
      one = {n: x[i] for n, x in rows.items()}
      yield one | {n: one[n].astype(dtype) for n in statistics}


def _layout(
  encoder: latent_encoder.Encoder, dtype: str
) -> tuple[dict[str, Any], str, dict[str, Several]]:
  """(features of TFDS, dtype of what is encoded, statistics by split)."""
  make = lambda name: latents.Moments()
  if encoder.of_codes:
    dtype, counts = "int32", encoder.n_codes
    make = lambda name: latents.Codes(np.zeros(counts[name], int))
  statistics = {
    split: Several({name: make(name) for name in encoder.shapes})
    for split in splits.MADE
  }
  features = {
    name: write.tensor(shape, dtype) for name, shape in encoder.shapes.items()
  } | {"index": np.int32}
  classes = encoder.parts.sources["train"].num_classes
  if classes:
    features["label"] = write.label(classes)
  return features, dtype, statistics


def build(
  name: str,
  out: pathlib.Path,
  encoder: latent_encoder.Encoder,
  views: int,
  dtype: str = "float16",
) -> tuple[pathlib.Path, Statistics | Several]:
  """Writes the data set.

  Args:
    name: of the data set.
    out: data directory of TFDS.
    encoder: makes the latents.
    views: passes over the training split.
    dtype: that moments are stored in.

  Returns:
    its folder, and the statistics of the training examples.

  Raises:
    UserError: it is there already.
  """
  features, dtype, statistics = _layout(encoder, dtype)
  gaussian = 0 in encoder.n_codes.values()  # None: plain codes
  about = {
    "method": json.loads(encoder.parts.config.method.to_json()),
    "data": json.loads(encoder.parts.config.data.to_json()),
    "views": views,
  }

  def split(source, passes):
    rows = encoder.rows(source, passes)
    return examples(
      rows,
      statistics[splits.STORED[source]],
      gaussian=gaussian,
      dtype=dtype,
    )

  train, held = splits.OF_RUN
  made = lambda: {
    splits.STORED[train]: split(train, views),
    splits.STORED[held]: split(held, 0),
  }
  folder = write.dataset(
    name,
    out,
    features=features,
    description=json.dumps(about, indent=2),
    splits=made,
  )
  seen = statistics["train"]
  for own in seen.values():
    if isinstance(own, latents.Moments) and not own.dead:
      latent_statistics.save(folder / STATISTICS, own)
  return folder, next(iter(seen.values())) if len(seen) == 1 else seen


def parse(argv: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
  """Arguments and config overrides."""
  parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
  for name in ("config", "name"):
    parser.add_argument(f"--{name}", required=True)
  parser.add_argument("--workdir", default="")
  parser.add_argument("--out", required=True, type=pathlib.Path)
  parser.add_argument("--views", type=int, default=1)
  parser.add_argument(
    "--dtype", default="float16", choices=("float16", "float32")
  )
  parser.add_argument(
    "--output", default="moments", choices=("moments", "codes")
  )
  argv, overrides = cli.overrides(argv)
  return parser.parse_args(argv), overrides


def main(argv: Sequence[str] | None = None) -> int:
  """Command line; returns the exit code."""
  args, overrides = parse(sys.argv[1:] if argv is None else argv)
  return cli.run(lambda: cache(args, overrides))


def cache(args: argparse.Namespace, overrides: Sequence[str]) -> None:
  """Writes the data set and prints where it is; raises as `build`."""
  config = configs.override(configs.load(args.config), overrides)
  with contextlib.ExitStack() as stack:
    if args.workdir:
      workdir = pathlib.Path(args.workdir)
      run = stack.enter_context(sessions.open(config, workdir, write=False))
    else:
      run = assemble.make(config)
    folder, statistics = build(
      args.name,
      args.out,
      encoder=latent_encoder.Encoder(run, args.output),
      views=args.views,
      dtype=args.dtype,
    )
  print(f"{folder}\n{statistics}")


if __name__ == "__main__":
  malloc.huge_pages()
  sys.exit(main())
