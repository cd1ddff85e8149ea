"""Weighted k-nearest-neighbour accuracy (DINO's protocol).

    s_ij  = <f_i, g_j> / |f_i| |g_j|             cosine similarity
    votes = sum over the k most similar j of class c of exp(s_ij / T)

facebookresearch/dino@7c446df5b9, eval_knn; T = 0.07, k in {10, 20, 100, 200}.
Reference lines: the same on raw pixels and on the untrained network.
"""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np

from jmim.core import method
from jmim.evals import base


def normalise(x: np.ndarray) -> np.ndarray:
  """Rows of [n, d] scaled to length 1 (rows of zeros stay)."""
  norm = np.linalg.norm(x, axis=1, keepdims=True)
  return x / np.maximum(norm, 1e-12)


@functools.partial(jax.jit, static_argnames=("k", "classes"))
def _votes(test, train, labels, temperature, k, classes):
  similar, index = jax.lax.top_k(test @ train.T, k)
  weight = jnp.exp(similar / temperature)
  return (weight[..., None] * jax.nn.one_hot(labels[index], classes)).sum(1)


def votes(
  train: np.ndarray,
  labels: np.ndarray,
  test: np.ndarray,
  k: int,
  temperature: float,
  classes: int,
  chunk: int = 1024,
) -> np.ndarray:
  """[m, classes] votes for the rows of `test`.

  Args:
    train: [n, d] raw features; k <= n.
    labels: [n] classes of `train`.
    test: [m, d] raw features.
    k: neighbours.
    temperature: T.
    classes: number of classes.
    chunk: rows of `test` compared at a time, which bounds the memory.
  """
  train, test = normalise(train), normalise(test)
  labels = jnp.asarray(labels)
  found = [
    _votes(test[i : i + chunk], train, labels, temperature, k, classes)
    for i in range(0, len(test), chunk)
  ]
  return np.concatenate([np.asarray(v) for v in found])


def topk(scores: np.ndarray, labels: np.ndarray, k: int) -> float:
  """Percent of rows whose label is among the k highest scores."""
  best = np.argsort(-scores, axis=1, kind="stable")[:, :k]
  return 100.0 * float(np.mean((best == labels[:, None]).any(1)))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Evaluator(base.Evaluator):
  """k-NN accuracy in percent, with pixels and untrained beside it."""

  labelled = True

  k: tuple = method.field((20,), "numbers of neighbours; the first is `top1`")
  temperature: float = method.field(0.07, "T of the votes", above=0)
  train_limit: int = method.field(0, "training examples; 0: all", low=0)
  limit: int = method.field(0, "test examples; 0: all", low=0)
  reference: bool = method.field(True, "also pixels and untrained weights")

  def run(self, context):
    """Yields top1 (percent) per k, and the reference lines."""
    lines = {"": (self.predict, self.weights)}
    if self.reference:
      lines["pixels_"] = ("pixels", "raw")
      lines["untrained_"] = (self.predict, "untrained")
    for prefix, (name, weights) in lines.items():
      train, labels = context.features(
        name, "train", self.train_limit or None, weights
      )
      test, truth = context.features(name, "eval", self.limit or None, weights)
      classes = int(max(labels.max(), truth.max())) + 1
      for k in self.k:
        found = votes(
          train, labels, test, min(k, len(train)), self.temperature, classes
        )
        suffix = "" if k == self.k[0] else f"_k{k}"
        yield f"{prefix}top1{suffix}", topk(found, truth, 1)
