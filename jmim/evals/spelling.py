"""Characters and colours of written words, read by another run.

    right_<head>   percent of windows of which a head tells what was asked for
    words          percent of samples in all of whose windows the first head is
                   right
    real_<head>    the first of these of pictures of the data set: what the
                   reader makes of them

A sample shows a word whose characters stand in known places: the data set
stores a window of each, its upper and left edge (`windows` [n, 2]; the data set
`glyphs/words`). What they show is cut out, rounded to 8 bits as a file would
be, and given to a run that offers `logits` of such pictures (`workdir`, a run
of `supervised.attributes` on `glyphs/single`), whose images say how large
windows are. "head=entry" compares a head with classes that the data set stores:
one for each window, or one of the whole word.
"""

import dataclasses
from collections.abc import Iterator
from collections.abc import Mapping
from typing import Any

import numpy as np

from jmim.core import errors
from jmim.core import field
from jmim.evals.lib import base
from jmim.evals.lib import context as contexts
from jmim.evals.lib import draw
from jmim.evals.lib import heads
from jmim.evals.lib import stored
from jmim.runlog import readings

Arrays = dict[str, np.ndarray]
_WORKDIR = "evals.<name>.workdir"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Evaluator(base.Evaluator):
  """Shares of characters, and of what else is told of them, that are right."""

  reads = ((r"(right|real)_.+|words", readings.PERCENT),)

  predict: str = field.value("sample", "images [b, h, w, c], as the inputs")
  workdir: str = field.value("", "run whose `logits` read a window")
  workdir_weights: str = field.value(
    "raw", "weights that are read of `workdir`", choices=("raw", "ema")
  )
  windows: str = field.value(
    "windows", "stored places [n, 2] of the windows (upper, left edge) [pixels]"
  )
  heads: tuple[str, ...] = field.value(
    ("label=letters", "colour=colour"),
    "'head=entry': what a head should tell, by what the data set stores",
  )
  picture: str = field.value(
    "", "entry of the batch whose pictures are read, too; '': none"
  )
  limit: int = field.value(0, "examples; 0: all", low=0)
  examples: int = field.value(16, "samples drawn", low=1)

  def check(self, path: str, sources: Mapping[str, Any], widths: Any) -> None:
    """Raises UserError for heads that are no pairs, or no run."""
    del sources, widths
    wrong = [text for text in self.heads if not all(text.partition("="))]
    if wrong or not self.heads:
      raise errors.UserError(
        f"{path}.heads={self.heads}",
        "'head=entry', one or more",
        "write it so",
        f"{path}.heads",
      )
    if not self.workdir:
      raise errors.UserError(
        f"{path}.workdir=''",
        "a run that reads characters",
        "train configs/attributes_glyphs.py, and name its workdir",
        f"{path}.workdir",
      )

  def run(self, context: contexts.Context) -> base.Results:
    """Yields what the module lists, examples, and a sheet."""
    reader = heads.of_run(
      self.workdir, self.workdir_weights, context.spec, _WORKDIR
    )
    rows: dict[str, list[np.ndarray]] = {}
    first = None
    for images, index, shown in self._samples(context):
      places = stored.annotation(context, "eval", index, self.windows)
      wanted = self._wanted(context, index, places.shape[1])
      told = _read(reader, images, places)
      if missing := [head for head in wanted if head not in told]:
        raise errors.UserError(
          f"evals.<name>.heads names {', '.join(missing)}",
          f"heads of {self.workdir}: {', '.join(told)}",
          "correct the name",
          "evals.<name>.heads",
        )
      found = {f"right_{h}": 100.0 * (told[h] == y) for h, y in wanted.items()}
      whole = found[f"right_{next(iter(wanted))}"].min(1)
      if shown is not None:
        told = _read(reader, shown, places)
        real = {f"real_{h}": 100.0 * (told[h] == y) for h, y in wanted.items()}
        found |= real
      for key, values in (found | {"words": whole}).items():
        rows.setdefault(key, []).append(values)
      first = (images, shown) if first is None else first
    for key, parts in rows.items():
      yield key, float(np.concatenate(parts).mean())
    yield "examples", sum(map(len, rows["words"]))
    yield "protocol", reader.protocol
    yield "sheet", self._sheet(*first)

  def _samples(
    self, context: contexts.Context
  ) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray | None]]:
    """(uint8 samples, numbers of their examples, stored pictures or None)."""
    entries = ("index", *([self.picture] if self.picture else ()))
    for out, batch in context.outputs(
      self.predict, "eval", self.limit or None, self.weights, entries=entries
    ):
      yield context.pixels(out), batch["index"], batch.get(self.picture)

  def _wanted(
    self, context: contexts.Context, index: np.ndarray, windows: int
  ) -> Arrays:
    """Head -> classes [b, windows]."""
    found = {}
    for text in self.heads:
      head, _, entry = text.partition("=")
      classes = stored.annotation(context, "eval", index, entry)
      if classes.ndim == 1:
        classes = np.repeat(classes[:, None], windows, axis=1)
      if classes.shape != (len(index), windows):
        raise errors.UserError(
          f"{entry!r} {list(classes.shape[1:])} of an example with {windows} "
          "windows",
          "one class, or one for each",
          "name another entry",
          "evals.<name>.heads",
        )
      found[head] = classes
    return found

  def _sheet(self, images: np.ndarray, shown: np.ndarray | None) -> np.ndarray:
    columns = {} if shown is None else {"stored": shown[: self.examples]}
    return draw.sheet(columns | {"sample": images[: self.examples]}, pairs=4)


def _read(
  reader: heads.Heads, images: np.ndarray, places: np.ndarray
) -> Arrays:
  """Head -> classes [b, n] of the windows at places [b, n, 2]."""
  b, n, _ = places.shape
  side = reader.shape[0]
  height, width = images.shape[1:3]
  if places.min() < 0 or (places + side > (height, width)).any():
    raise errors.UserError(
      f"windows of {side} pixels that leave images of {height} x {width}",
      "windows within",
      "name a run that reads smaller ones",
      _WORKDIR,
    )
  # [b, n, side, side]: rows and columns of each window.
  rows = places[..., 0, None, None] + np.arange(side)[:, None]
  columns = places[..., 1, None, None] + np.arange(side)
  cut = images[np.arange(b)[:, None, None, None], rows, columns]
  told = reader.tell(cut.reshape(b * n, *cut.shape[2:]))
  return {head: classes.reshape(b, n) for head, classes in told.items()}
