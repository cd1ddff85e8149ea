"""Weighted k-nearest-neighbour accuracy (DINO's protocol).

    s_ij  = <f_i, g_j> / |f_i| |g_j|             cosine similarity
    votes = sum over the k most similar j of class c of exp(s_ij / T)

facebookresearch/dino@7c446df5b9, eval_knn; T = 0.07, k in {10, 20, 100, 200}.
The training rows are shared by all devices; all k come from one pass.
Reference lines: the same on raw pixels and on the untrained network.
"""

import dataclasses

import jax
import numpy as np

from jmim.core import field
from jmim.evals.lib import base
from jmim.evals.lib import context as contexts
from jmim.evals.lib import finite
from jmim.metrics import accuracy
from jmim.metrics import neighbours
from jmim.runlog import readings


def votes(
  train: np.ndarray,
  labels: np.ndarray,
  test: np.ndarray,
  k: int,
  temperature: float,
  classes: int,
  mesh: jax.sharding.Mesh | None = None,
) -> np.ndarray:
  """[m, classes] votes for the rows of `test`, for one k.

  Args:
    train: [n, d] raw features.
    labels: [n] classes of `train`.
    test: [m, d] raw features.
    k: neighbours.
    temperature: T.
    classes: number of classes.
    mesh: devices that share the training rows; None: one.

  Raises:
    NotComputed: a feature is not finite.
  """
  finite.check(train, test)
  similar, near = neighbours.nearest(train, labels, test=test, k=k, mesh=mesh)
  return neighbours.votes(
    similar, near, ks=(k,), temperature=temperature, classes=classes
  )[k]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Evaluator(base.Compared):
  """k-NN accuracy in percent, with pixels and untrained beside it."""

  reads = ((r"top1.*", readings.PERCENT),)

  k: tuple[int, ...] = field.value(
    (20, 10, 100, 200), "numbers of neighbours; the first is `top1`"
  )
  temperature: float = field.value(0.07, "T of the votes", above=0)

  def run(self, context: contexts.Context) -> base.Results:
    """Yields top1 (percent) per k, and the reference lines."""
    for prefix, (train, labels), (test, truth) in self.lines(context):
      classes = int(max(labels.max(), truth.max())) + 1
      most = min(max(self.k), len(train))
      similar, near = neighbours.nearest(
        train, labels, test=test, k=most, mesh=context.devices.mesh
      )
      counts = neighbours.votes(
        similar,
        near,
        ks=self.k,
        temperature=self.temperature,
        classes=classes,
      )
      for k in self.k:
        suffix = "" if k == self.k[0] else f"_k{k}"
        yield f"{prefix}top1{suffix}", accuracy.topk(counts[k], truth, 1)
    yield "examples", len(truth)
