r"""Faces that were edited, factor by factor, against what they were to become.

Another run (`workdir`, of `supervised.attributes` on clean pictures) tells
`numbers` of pictures; y is what was made, x* the picture it was to be, which
the data set stores:

    error_<f>    mean |f(y) - f*| / std f*    f* as it is stored
    own_<f>      the same of f(x*): the run's own error
    colour_<r>   mean |colour of y - of x*|, means over the region r of x*, in
                 0 .. 1, of regions that belong to the source
    identity     percent of which it says what it says of the source ("label")
    iou          of argmax over tokens k of the attention with region k, mean
                 over the regions; iou_matched: with the best order of tokens

Attention is that of an output with `attention` [b, K, s, s] (`regions`); each
pixel of a map is the region that most of its pixels show. Made for DiffFAE.
"""

import dataclasses
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy.optimize

from jmim.core import errors
from jmim.core import field
from jmim.evals.lib import base
from jmim.evals.lib import context as contexts
from jmim.evals.lib import draw
from jmim.evals.lib import heads
from jmim.evals.lib import outputs
from jmim.evals.lib import stored
from jmim.metrics import dense
from jmim.runlog import readings

Arrays = dict[str, np.ndarray]
MAKES = "edit.difffae: 'edit'"  # what can be measured


@dataclasses.dataclass(frozen=True, kw_only=True)
class Evaluator(base.Evaluator):
  """Errors of what a query asks for, and of what a source keeps."""

  reads = (
    (r"(error|own|colour)_.+", readings.LESS),
    ("identity", readings.Reading("%")),
    (r"iou.*", readings.MORE),
  )

  predict: str = field.value("edit", "dict with image [b, h, w, c]")
  attention: str = field.value(
    "regions", "dict with attention [b, K, s, s]; '': none, or none is offered"
  )
  workdir: str = field.value(
    "", "run that tells numbers of pictures; '': none, so no errors of them"
  )
  workdir_weights: str = field.value(
    "raw", "weights that are read of `workdir`", choices=("raw", "ema")
  )
  data: str = field.value("", "data set, its test split; '': the run's own")
  data_dir: str = field.value("", "where that is; '': ~/.cache/jmim")
  target: str = field.value(
    "", "stored pictures, as they should be; '': the batch's image"
  )
  source: str = field.value("source", "stored pictures of the source")
  segmentation: str = field.value("segmentation", "stored regions of `target`")
  regions: tuple[str, ...] = field.value(
    ("ground", "hair", "clothes", "skin", "features"), "names of the regions"
  )
  kept: tuple[str, ...] = field.value(
    ("ground", "hair", "clothes"), "regions that belong to the source"
  )
  limit: int = field.value(0, "examples; 0: all", low=0)
  examples: int = field.value(6, "examples drawn", low=1)

  def check(
    self,
    path: str,
    sources: Mapping[str, Any],
    widths: Callable[[Sequence[str]], Mapping[str, int]],
  ) -> None:
    """Raises UserError for regions without a name."""
    del sources, widths
    unknown = [name for name in self.kept if name not in self.regions]
    if unknown:
      raise errors.UserError(
        f"{path}.kept names {unknown}",
        f"of {path}.regions={self.regions}",
        "correct the names",
        f"{path}.kept",
      )

  def run(self, context: contexts.Context) -> base.Results:
    """Yields what the module lists, examples, and a sheet."""
    run = None
    if self.workdir:
      key, which = "evals.<name>.workdir", self.workdir_weights
      run = heads.of_run(self.workdir, which, context.spec, key)
    context = stored.elsewhere(context, self.data, self.data_dir)
    found: dict[str, list[np.ndarray]] = {}
    first, count = None, 0
    for out, batch in self._outputs(context, self.predict):
      made = context.pixels(outputs.entry(out, "image", MAKES))
      shown = self._shown(context, made, batch)
      for name, values in self._rows(context, shown, batch, run).items():
        found.setdefault(name, []).append(values)
      first, count = first or shown, count + len(made)
    table = {name: np.concatenate(parts) for name, parts in found.items()}
    yield from _errors(table)
    for name in self.kept:
      yield f"colour_{name}", float(np.nanmean(table[f"colour_{name}"]))
    if "identity" in table:
      yield "identity", 100 * float(table["identity"].mean())
    yield "examples", count
    if run:
      yield "protocol", run.protocol
    if self.attention and self.attention in context.method.predict():
      yield from self._overlaps(context)
    few = {n: first[n][: self.examples] for n in ("source", "target", "made")}
    yield "sheet", draw.sheet(few, pairs=2, scale=3)

  def _outputs(self, context, name):
    entries = ("index", *(() if self.target else ("image",)))
    limit = self.limit or None
    return context.outputs(name, "eval", limit, self.weights, entries=entries)

  def _read(self, context, index, name) -> np.ndarray:
    return stored.annotation(context, "eval", index, name)

  def _shown(
    self, context: contexts.Context, made: np.ndarray, batch: Arrays
  ) -> Arrays:
    """made, target, source [b, h, w, c] and regions [b, h, w] of one batch."""
    index = batch["index"]
    source, where = (
      self._read(context, index, name)
      for name in (self.source, self.segmentation)
    )
    target = batch.get("image")
    if self.target:
      target = self._read(context, index, self.target)
    if made.shape != target.shape or where.shape != target.shape[:3]:
      raise errors.UserError(
        f"{made.shape[1:]} were made, and stored are {self.target or 'image'} "
        f"{target.shape[1:]}, {self.segmentation} {where.shape[1:]}",
        "pictures of one shape, and regions of their pixels",
        "name other stored pictures, or make the sizes of the method theirs",
        "evals.<name>.target",
      )
    return dict(made=made, target=target, source=source, regions=where)

  def _rows(
    self,
    context: contexts.Context,
    shown: Arrays,
    batch: Arrays,
    run: heads.Heads | None,
  ) -> Arrays:
    """Measure -> [b, ...] of one batch, and what is stored of its numbers."""
    made, target, rows = shown["made"], shown["target"], {}
    for name in self.kept:
      at = shown["regions"] == self.regions.index(name)
      rows[f"colour_{name}"] = colour_gap(made, target, at)
    if run is None:
      return rows
    told = {"error": run.numbers(made), "own": run.numbers(target)}
    for kind, each in told.items():
      rows |= {f"{kind}_{n}": values for n, values in each.items()}
    for name in told["own"]:
      rows[f"true_{name}"] = self._read(context, batch["index"], name)
    label = run.tell(made).get("label")
    if label is not None:
      rows["identity"] = label == run.tell(shown["source"])["label"]
    return rows

  def _overlaps(self, context):
    """iou and iou_matched over all examples."""
    table, n = 0, len(self.regions)
    for out, batch in self._outputs(context, self.attention):
      where = self._read(context, batch["index"], self.segmentation)
      maps = np.asarray(out["attention"], np.float32)
      true = coarse(where, maps.shape[-2:], n)
      k = maps.shape[1]
      both = dense.confusion(true, maps.argmax(1), max(k, n))
      table = table + both[:n, :k].T
    overlaps = ious(table)
    yield "iou", float(np.trace(overlaps)) / n
    order = scipy.optimize.linear_sum_assignment(overlaps, maximize=True)
    yield "iou_matched", float(overlaps[order].sum()) / n


def colour_gap(a: np.ndarray, b: np.ndarray, at: np.ndarray) -> np.ndarray:
  """[b] mean |difference| of the mean colours at some pixels, in 0 .. 1.

  Args:
    a: uint8 [b, h, w, c].
    b: the same.
    at: bool [b, h, w]; where it is nowhere the result is NaN.
  """
  count = at.sum((1, 2)).astype(np.float64)[:, None]
  gap = (a / 255.0 - b / 255.0) * at[..., None]
  with np.errstate(invalid="ignore"):
    return np.abs(gap.sum((1, 2)) / count).mean(1)


def coarse(where: np.ndarray, side: tuple[int, int], n: int) -> np.ndarray:
  """[b, *side] the region that most pixels show, of numbers [b, h, w] < n."""
  b, h, w = where.shape
  cells = (b, side[0], h // side[0], side[1], w // side[1])
  shares = [(where == k).reshape(cells).sum((2, 4)) for k in range(n)]
  return np.argmax(shares, axis=0)


def ious(table: np.ndarray) -> np.ndarray:
  """Intersection over union, of pixels [tokens, regions]; 0 of nothing."""
  union = table.sum(0, keepdims=True) + table.sum(1, keepdims=True) - table
  return table / np.maximum(union, 1)


def _errors(table: Arrays):
  """error_<f> and own_<f>, in deviations of what is stored."""
  for name in [n for n in table if n.startswith("true_")]:
    true, factor = table[name].astype(np.float64), name.removeprefix("true_")
    for kind in ("error", "own"):
      gap = np.abs(table[f"{kind}_{factor}"] - true) / true.std(0)
      yield f"{kind}_{factor}", float(gap.mean())
