"""Which experts a sparse mixture uses, by layer, position, time and class.

    share_le = assignments to expert e in layer l / all of layer l
    I(e; z)  = sum_ez p(e, z) log (p(e, z) / (p(e) p(z))),   z: position of the
               token, time (in bins) or class; p from counts

The analysis of DiT-MoE (Fei et al. 2024), on held-out images noised at random
times instead of along 50,000 samples. I is in nats, less the bias (E - 1)
(Z - 1) / 2n of its estimate from n counts (Miller 1955), which is exact for
independent counts; those of one image are not.

The method gives `chosen` [b, layers, t, k] experts, `time` [b] in [0, 1) and
`label` [b]; how many experts there are must be said, since some may be idle.
"""

import dataclasses

import numpy as np

from jmim.core import field
from jmim.evals.lib import base
from jmim.evals.lib import context as contexts
from jmim.evals.lib import draw
from jmim.runlog import readings

PICTURE = 320  # pixels across


def information(counts: np.ndarray) -> float:
  """Mutual information in nats of a table [e, z] of counts."""
  counts = counts[counts.sum(1) > 0][:, counts.sum(0) > 0].astype(np.float64)
  n = counts.sum()
  p = counts / n
  ratio = p / (p.sum(1, keepdims=True) * p.sum(0))
  plain = np.sum(p * np.log(np.where(p > 0, ratio, 1.0)))
  bias = (len(p) - 1) * (p.shape[1] - 1) / (2 * n)
  return float(plain - bias)


def table(
  chosen: np.ndarray, z: np.ndarray, experts: int, kinds: int
) -> np.ndarray:
  """[layers, experts, kinds] counts.

  Args:
    chosen: [b, layers, t, k].
    z: [b] or [b, t] ints below `kinds`.
    experts: number of experts.
    kinds: number of kinds.
  """
  b, layers, t, k = chosen.shape
  z = np.broadcast_to(z[:, None] if z.ndim == 1 else z, (b, t))
  flat = (np.arange(layers)[:, None, None] * experts + chosen) * kinds
  flat = flat + z[:, None, :, None]
  counts = np.bincount(flat.ravel(), minlength=layers * experts * kinds)
  return counts.reshape(layers, experts, kinds)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Evaluator(base.Evaluator):
  """Loads, specialisation, and pictures of both."""

  reads = ((r"mi_.+", readings.Reading("nats")),)

  predict: str = field.value("experts", "dict of chosen, time and label")
  experts: int = field.value(
    0, "experts of the mixture; 0: up to the last one chosen", low=0
  )
  bins: int = field.value(10, "bins of time", low=2)
  limit: int = field.value(0, "images; 0: all", low=0)
  repeats: int = field.value(4, "passes at other times", low=1)

  def run(self, context: contexts.Context) -> base.Results:
    """Yields load_max, load_min, mi_position, mi_time, mi_class by layer."""
    outputs = self._gather(context)
    chosen, time, label = (outputs[k] for k in ("chosen", "time", "label"))
    experts = max(self.experts, int(chosen.max()) + 1)
    t = chosen.shape[2]
    bins = np.minimum((time * self.bins).astype(int), self.bins - 1)
    tables = {
      "position": table(
        chosen, np.tile(np.arange(t), (len(chosen), 1)), experts, t
      ),
      "time": table(chosen, bins, experts, self.bins),
      "class": table(chosen, label, experts, int(label.max()) + 1),
    }
    shares = tables["time"].sum(2) / chosen[:, 0].size
    for layer, share in enumerate(shares):
      yield f"load_max_{layer:02d}", float(share.max())
      yield f"load_min_{layer:02d}", float(share.min())
      for name, counts in tables.items():
        yield f"mi_{name}_{layer:02d}", information(counts[layer])
    yield "load_max", float(shares.max())
    yield "load_min", float(shares.min())
    yield "idle", float((shares == 0).mean())
    for name, counts in tables.items():
      yield f"by_{name}", picture(counts)
    yield "examples", len(chosen)

  def _gather(self, context: contexts.Context) -> dict[str, np.ndarray]:
    """The outputs of all passes, example first."""
    limit, rows = self.limit or None, []
    for repeat in range(self.repeats):
      rows += context.outputs(
        self.predict, "eval", limit, self.weights, key=repeat * 2**16
      )
    return {k: np.concatenate([x[k] for x, _ in rows]) for k in rows[0][0]}


def picture(counts: np.ndarray) -> np.ndarray:
  """uint8 [h, w, 3]: a block per layer, a row per expert, a column per kind.

  Brightness is the share of a kind's assignments that an expert gets, from 0
  to twice the fair one: a row of one colour tells nothing about the kind.
  """
  layers, experts, kinds = counts.shape
  share = counts / np.maximum(counts.sum(1, keepdims=True), 1)
  blocks = draw.heat(share, 0.0, 2 / experts)
  factor = max(1, PICTURE // kinds)
  tall = max(1, factor // 4)
  blocks = blocks.repeat(tall, 1).repeat(factor, 2)
  white = np.full((layers, 4, *blocks.shape[2:]), 255, np.uint8)
  return np.concatenate([blocks, white], 1).reshape(-1, *blocks.shape[2:])
