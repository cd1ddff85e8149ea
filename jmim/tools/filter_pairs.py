"""Which pairs of image and mask to keep: those that others would predict.

    python -m jmim.tools.filter_pairs --runs=runs/fold0,runs/fold1,runs/fold2 \
      --out=keep.npy --least=0.5 --least_of=14:0.3

Noise learning of DiffuMask (Wu et al. 2023) by cross validation: each run is a
segmenter (dense.segment) that has seen all folds of the pairs but one
(`data.train_split`, as `configs/segment_scenes.py:fold=0` writes it). A pair is
kept if the IoU of its mask and of what the runs say that have not seen it
(their mean) is at least that of its class: --least, or --least_of=LABEL:IOU.
Positions in the whole split go to --out, the list that `data.keep` reads.
"""

import argparse
import pathlib
import sys
from collections.abc import Mapping
from collections.abc import Sequence

import jax
import numpy as np

from jmim.checkpoints import models
from jmim.core import errors
from jmim.core import files
from jmim.data import augment
from jmim.data import decode
from jmim.data import sources
from jmim.evals.lib import predict
from jmim.metrics import dense
from jmim.parallel import malloc
from jmim.runlog import console as consoles
from jmim.tools import cli

OUTPUT = "segment"
CHUNK = 256


def overlaps(truth: np.ndarray, guess: np.ndarray) -> np.ndarray:
  """[n] IoU of what is not ground, of the right class; 1 where both are empty.

  Args:
    truth: int [n, h, w]; pixels of the label 255 do not count.
    guess: int [n, h, w].
  """
  known = truth != dense.IGNORE
  both = (known & (truth > 0) & (truth == guess)).sum((1, 2))
  either = (known & ((truth > 0) | (guess > 0))).sum((1, 2))
  return np.where(either, both / np.maximum(either, 1), 1.0)


def unseen(
  model: models.Model, whole: sources.Source, data: Mapping[str, str]
) -> np.ndarray:
  """bool [n]: examples of the whole split that a run was not trained on."""
  split, folder = model.config["data"]["train_split"], data["data_dir"]
  seen = sources.build(data["name"], split, folder)
  return ~np.isin(whole.places(), seen.places())


def judged(
  model: models.Model, whole: sources.Source, index: np.ndarray
) -> np.ndarray:
  """[m] IoU of some examples, as the run sees them."""
  rows, data = [], model.config.data
  names = [name for name in model.method.inputs() if name != "image"]
  run = jax.jit(predict.output(model.method, OUTPUT))
  for start in range(0, len(index), CHUNK):
    part = [whole[int(i)] for i in index[start : start + CHUNK]]
    batch = {name: np.stack([x[name] for x in part]) for name in names}
    images = [decode.decode(x["image"], data.channels) for x in part]
    batch["image"] = augment.normalise(data, np.stack(images))
    out = run(model.weights, batch, jax.random.key(0))
    rows.append(overlaps(*(np.asarray(out[n]) for n in ("truth", "guess"))))
  return np.concatenate(rows)


def opened(
  runs: Sequence[str],
) -> tuple[list[models.Model], sources.Source, Mapping[str, str]]:
  """The runs, the whole split that all were trained on, and its name.

  Raises:
    UserError: a run of another method, or of other data.
  """
  found = [models.of_run(run, "raw", key="--runs") for run in runs]
  data = {k: found[0].config["data"][k] for k in ("name", "data_dir")}
  for run, model in zip(runs, found, strict=True):
    own = {k: model.config["data"][k] for k in data}
    if OUTPUT not in model.method.predict() or own != data:
      raise errors.UserError(
        f"{run}: {model.config['method']['type']} of {own['name']}",
        f"runs of dense.segment, all of one data set ({data['name']})",
        "name the runs of the folds",
        "--runs",
      )
  split = found[0].config["data"]["train_split"].partition("[")[0]
  return found, sources.build(data["name"], split, data["data_dir"]), data


def scores(runs: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
  """(mean IoU [n] of the runs that have not seen an example, labels [n]).

  Raises:
    UserError: an example that all have seen; or as `opened`.
  """
  found, whole, data = opened(runs)
  total, count = np.zeros(len(whole)), np.zeros(len(whole), int)
  for model in found:
    index = np.flatnonzero(unseen(model, whole, data))
    if len(index):
      total[index] += judged(model, whole, index)
    count[index] += 1
  if not count.all():
    raise errors.UserError(
      f"{int((count == 0).sum())} of {len(whole)} examples were seen by all "
      "runs",
      "each left out by one of them",
      "name the runs of all folds",
      "--runs",
    )
  labels = [int(whole[i].get("label", 0)) for i in range(len(whole))]
  return total / count, np.array(labels)


def by_class(text: str) -> dict[int, float]:
  """Label -> least IoU of "14:0.3,15:0.4".

  Raises:
    UserError: it is not written so.
  """
  try:
    pairs = [item.split(":") for item in text.split(",") if item]
    return {int(label): float(least) for label, least in pairs}
  except ValueError as error:
    raise errors.UserError(
      f"--least_of={text}", "LABEL:IOU,LABEL:IOU", "correct it", "--least_of"
    ) from error


def parse(argv: Sequence[str]) -> argparse.Namespace:
  """Arguments."""
  parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
  parser.add_argument("--runs", required=True)
  parser.add_argument("--out", required=True, type=pathlib.Path)
  parser.add_argument("--least", default=0.5, type=float)
  parser.add_argument("--least_of", default="")
  return parser.parse_args(argv)


def run(args: argparse.Namespace) -> None:
  """Writes the list, and prints how much of each class is kept.

  Raises:
    UserError: as `scores`, nothing is kept, or a folder that cannot be written.
  """
  special = by_class(args.least_of)
  files.check_writable(args.out.parent, "--out")
  found, labels = scores(args.runs.split(","))
  least = np.array([special.get(int(c), args.least) for c in labels])
  keep = found >= least
  rows = [
    (
      int(c),
      int((labels == c).sum()),
      int(keep[labels == c].sum()),
      float(found[labels == c].mean()),
    )
    for c in np.unique(labels)
  ]
  console = consoles.Console()
  console.table("Pairs", ("label", "there", "kept", "mean IoU"), rows)
  if not keep.any():
    raise errors.UserError(
      f"no pair reaches an IoU of {args.least}",
      "some",
      f"lower it: the greatest is {found.max():.3f}",
      "--least",
    )
  np.save(args.out, np.flatnonzero(keep))
  print(f"done: {args.out}, {int(keep.sum())} of {len(keep)} pairs")


def main(argv: Sequence[str] | None = None) -> int:
  """Command line; returns the exit code."""
  args = parse(sys.argv[1:] if argv is None else argv)
  return cli.run(lambda: run(args))


if __name__ == "__main__":
  malloc.huge_pages()
  sys.exit(main())
