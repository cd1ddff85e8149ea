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
  """

  predict: str
  kernel: np.ndarray
  bias: np.ndarray


def read(workdir: pathlib.Path, name: str, step: int, weights: str) -> Head:
  """That of an evaluator, by training or by --mode=eval.

  Args:
    workdir: of the run.
    name: of the evaluator.
    step: of the network that it is to stand on.
    weights: "raw" or "ema", of that network.

  Raises:
    UserError: there is none, or only of another step, or of other weights; its
      file is damaged.
  """
  seen = []
  for folder in (workdir, workdir / "eval"):
    path = folder / writer.HEADS / f"{name}.npz"
    if not path.is_file():
      continue
    found = npz.read(path, "--head")
    if not _fits(found):
      seen.append(f"{path} with {', '.join(found) or 'nothing'}: no classifier")
      continue
    if found["step"] == step and found["weights"] == weights:
      arrays = (found[k].astype(np.float32) for k in ("kernel", "bias"))
      return Head(str(found["predict"]), *arrays)
    seen.append(f"of step {found['step']}, weights={found['weights']}")
  raise errors.UserError(
    f"--head={name}: " + ("; ".join(seen) or f"none in {workdir}"),
    f"a probe (an SVM: of two classes) or a linear evaluator that saw step "
    f"{step}, weights={weights}",
    "run --mode=eval with it first",
    "--head",
  )


def _fits(found: Mapping[str, np.ndarray]) -> bool:
  """Whether the arrays are those of a head; others may have written them."""
  kernel, bias = (np.asarray(found.get(k)) for k in ("kernel", "bias"))
  return (
    all(np.asarray(found.get(k, ())).ndim == 0 for k in _WORDS)
    and all(x.dtype.kind == "f" for x in (kernel, bias))
    and kernel.ndim == 2
    and bias.shape == kernel.shape[1:]
  )
