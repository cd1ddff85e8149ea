"""Segments of volumes out of affinities, against the cells that are stored.

Each voxel joins its surest neighbour; regions then merge by mean affinity, down
to each of some thresholds (`metrics.segments`). Means over volumes of VOI
[bits] and ARAND; those without a suffix are of the threshold whose VOI is the
least ON THE SAME VOLUMES. `one_*`: all voxels in one segment; `alone_*`: each
for itself (split that far, nothing is merged wrongly).
"""

import dataclasses

import numpy as np

from jmim.core import field
from jmim.data import volumes
from jmim.evals.lib import base
from jmim.evals.lib import context as contexts
from jmim.evals.lib import draw
from jmim.evals.lib import stored
from jmim.metrics import segments
from jmim.runlog import readings

NAMES = ("voi", "voi_split", "voi_merge", "arand")


def scores(truth: np.ndarray, guess: np.ndarray) -> tuple[float, ...]:
  """Values of NAMES of a volume.

  Args:
    truth: ids [d, h, w].
    guess: ids [d, h, w].
  """
  split, merge = segments.variation_of_information(truth, guess)
  rand = segments.adapted_rand_error(truth, guess)
  return split + merge, split, merge, rand


@dataclasses.dataclass(frozen=True, kw_only=True)
class Evaluator(base.Evaluator):
  """VOI and ARAND of agglomerated affinities, and a picture of segments."""

  reads = (
    (r"(.*_)?voi(_.+)?", readings.BITS),
    (r"(.*_)?arand(_.+)?", readings.LESS),
  )

  predict: str = field.value("affinities", "[b, d, h, w, 3], of z, y, x")
  target: str = field.value("cells", "ids of voxels in the data set")
  thresholds: tuple[float, ...] = field.value(
    (0.3, 0.5, 0.7), "least mean affinities that merge"
  )
  limit: int = field.value(16, "volumes; 0: all", low=0)
  examples: int = field.value(4, "volumes drawn", low=1)

  def run(self, context: contexts.Context) -> base.Results:
    """Yields each of NAMES, per threshold too, and the picture `sheet`."""
    rows: dict[str, list] = {f"_t{t:g}": [] for t in self.thresholds}
    rows |= {"one": [], "alone": []}
    shown: list[tuple[np.ndarray, ...]] = []
    for out, batch in context.outputs(
      self.predict,
      "eval",
      self.limit or None,
      self.weights,
      entries=("index", "volume"),
    ):
      each = zip(out, batch["index"], batch["volume"], strict=True)
      for affinity, index, volume in each:
        truth = volumes.middle(
          stored.annotation(context, "eval", [index], self.target)[0],
          volume.shape,
        )
        made = self._cut(np.moveaxis(affinity, -1, 0))
        for suffix, guess in made.items():
          rows[suffix].append(scores(truth, guess))
        ones, alone = np.ones_like(truth), np.arange(truth.size)
        rows["one"].append(scores(truth, ones))
        rows["alone"].append(scores(truth, alone.reshape(truth.shape)))
        if len(shown) < self.examples:
          shown.append((volume, truth, made))
    means = {k: np.mean(v, axis=0) for k, v in rows.items()}
    best = min(rows.keys() - {"one", "alone"}, key=lambda k: means[k][0])
    for name, value in zip(NAMES, means[best], strict=True):
      yield name, float(value)
    for key, values in means.items():
      for name, value in zip(NAMES, values, strict=True):
        label = (
          f"{name}{key}"
          if key in (f"_t{t:g}" for t in self.thresholds)
          else f"{key}_{name}"
        )
        yield label, float(value)
    yield "sheet", self._sheet(shown, best)
    yield "examples", len(rows["one"])

  def _cut(self, affinity: np.ndarray) -> dict[str, np.ndarray]:
    """Suffix of a threshold -> ids [d, h, w]."""
    basins = segments.fragments(affinity)
    return {
      f"_t{t:g}": segments.agglomerate(basins, affinity, t)
      for t in self.thresholds
    }

  def _sheet(self, shown: list, best: str) -> np.ndarray:
    """The middle slices, the cells and the segments of some volumes."""
    middle = [volume.shape[0] // 2 for volume, _, _ in shown]
    pick = lambda k: np.stack(
      [
        (row[k] if k < 2 else row[2][best])[z]
        for row, z in zip(shown, middle, strict=True)
      ]
    )
    # Colours of a few ids in turn; 0 stays the ground.
    paint = lambda ids: draw.classes(np.where(ids > 0, 1 + ids % 20, 0))
    return draw.sheet(
      {
        "slice": pick(0)[..., None],
        "cells": paint(pick(1)),
        "segments": paint(pick(2)),
      }
    )
