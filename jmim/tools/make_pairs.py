"""Pairs of noise and sample of a run, as a data set to train on.

    python -m jmim.tools.make_pairs --workdir=RUN --name=NAME --out=DIR \
      --num=95000 --weights=ema

For reflow: a model that is trained on them (`video.step_video_turbo`) goes from
one to the other in a straight line. The run's sampler makes the samples; other
steps or guidance by --config.method.sampling.steps=50 and so on. What samples
are told, labels or stored features of texts, is that of the examples of the
run's splits, in their order, again and again. The result is an ordinary
ArrayRecord data set of TFDS: `noise` and `sample` [t, h, w, c], what is
diffused, and what they were told; --test more of them, of other noise, are the
split "test".
"""

import argparse
import json
import pathlib
import sys
from collections.abc import Iterator
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from jmim.checkpoints import models
from jmim.core import errors
from jmim.core import objects
from jmim.data import sources
from jmim.data import write
from jmim.evals.lib import predict
from jmim.parallel import malloc
from jmim.session import opened
from jmim.tools import cli

OUTPUT = "pairs"

Rows = dict[str, np.ndarray]


def told(model: models.Model) -> tuple[str, ...]:
  """Names of what its samples are told.

  Raises:
    UserError: a method that makes no pairs.
  """
  method = model.method
  if OUTPUT not in method.predict():
    raise errors.UserError(
      f"method.type={model.config.method.type!r} offers "
      f"{', '.join(sorted(method.predict()))}",
      f"a method that offers `{OUTPUT}` ('video.step_video')",
      "name the run of such a method",
      "--workdir",
    )
  label = ("label",) if "label" in method.inputs() else ()
  return (*label, *method.sample_reads())


def batches(
  model: models.Model,
  source: sources.Source,
  numbers: range,
  batch: int,
  key: jax.Array,
) -> Iterator[Rows]:
  """Rows of noise, sample, and what they were told.

  Args:
    model: a run's.
    source: its examples, which say what samples are told.
    numbers: of the samples, whose noise they are told apart by.
    batch: samples at once.
    key: of all samples.
  """
  names, run = told(model), jax.jit(predict.output(model.method, OUTPUT))
  for start in range(numbers.start, numbers.stop, batch):
    index = np.arange(start, start + batch)
    some = [source[int(i - numbers.start) % len(source)] for i in index]
    rows = {n: np.stack([np.asarray(x[n]) for x in some]) for n in names}
    asked = rows | {"index": index.astype(np.int32)}
    made = jax.device_get(run(model.weights, asked, key))
    count = min(batch, numbers.stop - start)
    yield {n: x[:count] for n, x in (rows | made).items()}


def build(
  model: models.Model,
  name: str,
  out: pathlib.Path,
  num: int,
  test: int,
  batch: int = 32,
  dtype: str = "float32",
) -> pathlib.Path:
  """Writes the data set.

  Args:
    model: a run's.
    name: of the data set.
    out: data directory of TFDS.
    num: pairs to train on.
    test: pairs of the split "test".
    batch: samples at once.
    dtype: that noise and samples are stored in.

  Returns:
    its folder.

  Raises:
    UserError: it is there already, or a method that makes no pairs.
  """
  names, key = told(model), jax.random.key(0)
  read = opened.make_sources(model.config)
  shape = model.method.shape
  features: dict[str, Any] = {
    n: write.tensor(shape, dtype) for n in ("noise", "sample")
  }
  wanted = model.method.inputs()
  for n in names:
    kind = np.dtype(wanted[n].dtype)
    features[n] = (
      write.tensor(wanted[n].shape, kind.name) if wanted[n].shape else kind.type
    )
  classes = read["train"].num_classes
  if classes and "label" in names:
    features["label"] = write.label(classes)
  of = {
    "train": (read["train"], range(num)),
    "test": (read["eval"], range(num, num + test)),
  }

  def examples(source, numbers):
    for rows in batches(model, source, numbers, batch=batch, key=key):
      for i in range(len(rows["noise"])):
        one = {n: x[i] for n, x in rows.items()}
        cast = lambda n, one=one: one[n].astype(features[n].np_dtype)
        yield one | {n: cast(n) for n in features if one[n].ndim}

  about = {"method": json.loads(model.config.method.to_json())}
  return write.dataset(
    name,
    out,
    features=features,
    description=json.dumps(about, indent=2),
    splits=lambda: {split: examples(*own) for split, own in of.items()},
  )


def parse(argv: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
  """Arguments and config overrides."""
  parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
  parser.add_argument("--workdir", required=True)
  parser.add_argument("--name", required=True)
  parser.add_argument("--out", required=True, type=pathlib.Path)
  parser.add_argument("--num", type=int, default=95_000)
  parser.add_argument("--test", type=int, default=256)
  parser.add_argument("--batch", type=int, default=32)
  parser.add_argument("--weights", default="ema", choices=("raw", "ema"))
  dtypes = ("float16", "float32")
  parser.add_argument("--dtype", default="float32", choices=dtypes)
  argv, overrides = cli.overrides(argv)
  return parser.parse_args(argv), overrides


def make(args: argparse.Namespace, overrides: Sequence[str]) -> None:
  """Writes the data set and prints where it is; raises as `build`."""
  model = models.of_run(args.workdir, args.weights, key="--workdir")
  objects.check_data(model.config, args.workdir)
  folder = build(
    model.changed(overrides),
    args.name,
    args.out,
    num=args.num,
    test=args.test,
    batch=args.batch,
    dtype=args.dtype,
  )
  print(f"{folder}\n{args.num} pairs to train on, {args.test} to test")


def main(argv: Sequence[str] | None = None) -> int:
  """Command line; returns the exit code."""
  args, overrides = parse(sys.argv[1:] if argv is None else argv)
  return cli.run(lambda: make(args, overrides))


if __name__ == "__main__":
  malloc.huge_pages()
  sys.exit(main())
