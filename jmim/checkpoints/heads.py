"""Linear classifiers that evaluators fitted: heads/<evaluator>.npz of a run."""

import pathlib
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from jmim.checkpoints import npz
from jmim.core import errors
from jmim.runlog import writer

_WORDS = ("step", "weights", "predict")


class Head(NamedTuple):
  """logits = x @ kernel + bias.

  Attributes:
    predict: output of the method that is x.
    kernel: float32 [d, classes].
    bias: float32 [classes].
    names: of the columns, where they are not the classes of the labels.
    std: float32 [d], deviations of the x it was fitted on; [0]: not kept.
  """

  predict: str
  kernel: np.ndarray
  bias: np.ndarray
  names: tuple[str, ...] = ()
  std: np.ndarray = np.zeros(0, np.float32)


def read(
  workdir: pathlib.Path, name: str, step: int, weights: str, key: str = "--head"
) -> Head:
  """That of an evaluator, by training or by --mode=eval.

  Args:
    workdir: of the run.
    name: of the evaluator.
    step: of the network that it is to stand on.
    weights: "raw" or "ema", of that network.
    key: flag that named it, for messages.

  Raises:
    UserError: there is none, or only of another step, or of other weights; its
      file is damaged.
  """
  seen = []
  for folder in (workdir, workdir / "eval"):
    path = writer.head(folder, name)
    if not path.is_file():
      continue
    found = npz.read(path, key)
    if not _fits(found):
      seen.append(f"{path} with {', '.join(found) or 'nothing'}: no classifier")
      continue
    if found["step"] == step and found["weights"] == weights:
      names = ("kernel", "bias", "std")
      arrays = {n: found[n].astype(np.float32) for n in names if n in found}
      told = tuple(map(str, found.get("names", ())))
      return Head(predict=str(found["predict"]), names=told, **arrays)
    seen.append(f"of step {found['step']}, weights={found['weights']}")
  raise errors.UserError(
    f"{key}={name}: " + ("; ".join(seen) or f"none in {workdir}"),
    "a probe (an SVM: of two classes), a linear or an attributes evaluator "
    f"that saw step {step}, weights={weights}",
    "run --mode=eval with it first",
    key,
  )


def _fits(found: Mapping[str, np.ndarray]) -> bool:
  """Whether the arrays are those of a head; others may have written them."""
  kernel, bias = (np.asarray(found.get(k)) for k in ("kernel", "bias"))
  return (
    all(np.asarray(found.get(k, ())).ndim == 0 for k in _WORDS)
    and all(x.dtype.kind == "f" for x in (kernel, bias))
    and kernel.ndim == 2
    and bias.shape == kernel.shape[1:]
    and np.asarray(found.get("std", ())).shape in ((0,), kernel.shape[:1])
    and np.asarray(found.get("std", ())).dtype.kind == "f"
    and np.asarray(found.get("names", ())).ndim == 1
  )
