"""Encodes a data set once: moments of a frozen autoencoder, as a data set.

    python -m jmim.tools.cache_latents --config=configs/autoencoder_kl_X.py \
      --workdir=RUN --name=imagenet256_latents --out=DATA_DIR --views=2

RUN is a trained autoencoder, or published weights (`python -m jmim.convert`
makes a run of them). What is read is the `data` section of its config; other
data by --config.data.name=... and so on. The result is an ordinary ArrayRecord
data set of TFDS with the splits "train" and "test": moments [h, w, 2 c] (KL:
mean, log variance; VQ: the code before quantisation), the label if there is
one, and the index of the example. A method with `first_stage` set and
read="moments" trains on it and draws a new posterior sample in every step.
With --output=codes an autoencoder with a codebook stores its tokens instead,
int32 [h w] in raster order, for a method of tokens (`discrete.mdm`).

With --views=n the training split holds n passes of the training augmentation
(crops and flips of encoded images are not crops and flips of latents), with
--views=0 one pass of the evaluation's crop. Printed at the end: the standard
deviation of the latents, whose inverse is LDM's scale factor, or how many codes
are used.
"""

import argparse
import contextlib
import dataclasses
import io
import json
import math
import pathlib
import sys
from collections.abc import Iterator
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
import tensorflow_datasets as tfds
from tensorflow_datasets.core import registered

from jmim.core import config as configs
from jmim.core import errors
from jmim.core import method as methods
from jmim.data import augment
from jmim.data import pipeline
from jmim.evals.lib import predict
from jmim.metrics import latents
from jmim.modes import train
from jmim.parallel import malloc
from jmim.parallel import sharding
from jmim.tools import cli

Rows = dict[str, np.ndarray]
Statistics = latents.Moments | latents.Codes


class Encoder:
  """The trained autoencoder of a run, on batches of its own pipeline.

  Attributes:
    feature: name of what it makes: "moments" or "tokens".
  """

  def __init__(self, run: train.Run, output: str = "moments"):
    """Takes the newest checkpoint's weights; output: "moments" or "codes".

    Raises:
      UserError: no checkpoint, or a method that does not encode.
    """
    self.parts = parts = run.parts
    offered = parts.method.predict()
    if output not in offered:
      raise errors.UserError(
        f"method.type={parts.config.method.type!r} offers "
        f"{', '.join(sorted(offered))}",
        f"a method that offers `{output}`",
        "name the run of an autoencoder",
        "method.type",
      )
    self.feature = {"codes": "tokens"}.get(output, output)
    self._output = predict.output(parts.method, output)
    if jax.process_count() > 1:
      raise errors.UserError(
        f"{jax.process_count()} processes",
        "one, which writes the files",
        "run it on one host",
        None,
      )
    run.restore_only()
    state, everywhere = run.state, sharding.replicated(parts.mesh)
    self._weights = methods.Weights(state.params, state.extra, parts.consts)
    self._key = jax.random.key(0)
    self._encode = jax.jit(self._output, out_shardings=everywhere)
    self._where = sharding.batch_sharding(parts.mesh)

  def shape(self) -> tuple[int, ...]:
    """Of one example: [h, w, k] moments, or [n] tokens."""
    batch = {
      name: jax.ShapeDtypeStruct((1, *x.shape), x.dtype)
      for name, x in self.parts.method.inputs().items()
    }
    made = jax.eval_shape(self._output, self._weights, batch, self._key)
    shape = made.shape[1:]
    return (math.prod(shape),) if self.feature == "tokens" else shape

  def __call__(
    self, images: np.ndarray, step: int, training: bool
  ) -> np.ndarray:
    """[b, h, w, k] float32 moments, or [b, n] tokens, of uint8 images.

    Args:
      images: [b, h, w, c], as the pipeline makes them.
      step: number of the batch, which seeds its augmentation.
      training: with the augmentation of training.
    """
    batch = {"image": jax.device_put(images, self._where)}
    spec, key = self.parts.augment, jax.random.key(self.parts.config.seed)
    if training:
      batch = augment.train(spec, jax.random.fold_in(key, step), batch)
    else:
      batch = augment.evaluate(spec, batch)
    made = np.asarray(self._encode(self._weights, batch, self._key))
    return made.reshape(len(made), -1) if self.feature == "tokens" else made

  def rows(self, split: str, views: int) -> Iterator[Rows]:
    """Batches of `feature`, "index", perhaps "label" of a source.

    Args:
      split: "train" or "eval".
      views: passes of the training augmentation; 0: the evaluation's crop.
    """
    source, spec = self.parts.sources[split], self.parts.spec
    if not views:
      for i, batch in enumerate(pipeline.evaluate(source, spec)):
        yield self._encoded(batch, batch["valid"], i, False)
      return
    remaining = len(source) * views
    stream = pipeline.train(source, dataclasses.replace(spec, remainder="keep"))
    with contextlib.closing(stream):
      for i, batch in enumerate(stream):
        first = np.arange(spec.batch) < remaining
        yield self._encoded(batch, first, i, True)
        remaining -= spec.batch
        if remaining <= 0:
          return

  def _encoded(
    self, batch: Rows, valid: np.ndarray, step: int, training: bool
  ) -> Rows:
    """What is stored of the valid rows of a batch."""
    rows = {self.feature: self(batch["image"], step, training)}
    names = [n for n in ("index", "label") if n in batch]
    rows |= {n: batch[n] for n in names}
    return {n: x[valid] for n, x in rows.items()}


def examples(
  batches: Iterator[Rows],
  statistics: Statistics,
  gaussian: bool,
  name: str,
  dtype: str,
) -> Iterator[tuple[str, dict[str, Any]]]:
  """(key, example) of every row.

  Args:
    batches: of an encoder.
    statistics: count the encoded feature.
    gaussian: moments have log variances.
    name: of the encoded feature.
    dtype: that it is stored in.
  """
  number = 0
  for rows in batches:
    statistics.add(rows[name], gaussian)
    for i in range(len(rows["index"])):
      one = {n: x[i] for n, x in rows.items()}
      one[name] = one[name].astype(dtype)
      yield f"{number:012d}", one
      number += 1


def _layout(
  encoder: Encoder, dtype: str
) -> tuple[dict[str, Any], str, dict[str, Statistics]]:
  """(features of TFDS, dtype of the encoded one, empty statistics by split)."""
  codes = encoder.parts.method.n_codes
  make = latents.Moments
  if encoder.feature == "tokens":
    dtype, make = "int32", lambda: latents.Codes(np.zeros(codes, int))
  statistics = {split: make() for split in ("train", "test")}
  features = {
    encoder.feature: tfds.features.Tensor(
      shape=encoder.shape(),
      dtype=np.dtype(dtype),
      encoding=tfds.features.Encoding.BYTES,
    ),
    "index": np.int32,
  }
  classes = encoder.parts.sources["train"].num_classes
  if classes:
    features["label"] = tfds.features.ClassLabel(num_classes=classes)
  return features, dtype, statistics


def build(
  name: str,
  out: pathlib.Path,
  encoder: Encoder,
  views: int,
  dtype: str = "float16",
) -> tuple[pathlib.Path, Statistics]:
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
  gaussian = not encoder.parts.method.n_codes
  about = {
    "method": json.loads(encoder.parts.config.method.to_json()),
    "data": json.loads(encoder.parts.config.data.to_json()),
    "views": views,
  }

  def split(name, source, passes):
    rows = encoder.rows(source, passes)
    return examples(
      rows,
      statistics[name],
      gaussian=gaussian,
      name=encoder.feature,
      dtype=dtype,
    )

  with registered.skip_registration():

    class Latents(tfds.core.GeneratorBasedBuilder):
      VERSION = tfds.core.Version("1.0.0")

      def _info(self):
        return tfds.core.DatasetInfo(
          builder=self,
          features=tfds.features.FeaturesDict(features),
          description=json.dumps(about, indent=2),
        )

      def _split_generators(self, dl_manager):
        del dl_manager
        return {
          "train": split("train", "train", views),
          "test": split("test", "eval", 0),
        }

      def _generate_examples(self):
        raise AssertionError("splits are generators")

  Latents.name = name
  builder = Latents(data_dir=out, file_format="array_record")
  folder = pathlib.Path(builder.data_dir)
  if folder.exists():
    raise errors.UserError(
      f"{folder} is there",
      "a new data set",
      "remove it, or choose a --name",
      "--name",
    )
  # TFDS prints progress bars and a path of its own.
  mute = io.StringIO()
  with contextlib.redirect_stdout(mute), contextlib.redirect_stderr(mute):
    builder.download_and_prepare(
      download_config=tfds.download.DownloadConfig(try_download_gcs=False)
    )
  return folder, statistics["train"]


def parse(argv: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
  """Arguments and config overrides."""
  parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
  for name in ("config", "workdir", "name"):
    parser.add_argument(f"--{name}", required=True)
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
  run = train.Run(config, pathlib.Path(args.workdir), write=False)
  try:
    folder, statistics = build(
      args.name,
      args.out,
      encoder=Encoder(run, args.output),
      views=args.views,
      dtype=args.dtype,
    )
  finally:
    run.close()
  print(f"{folder}\n{statistics}")


if __name__ == "__main__":
  malloc.huge_pages()
  sys.exit(main())
