r"""Drags of one thing in pictures of a few: did it move, and is it the same.

    moved        percent of pictures in which it is where it should be
    clear        percent in which the place that it left shows the ground
    same_colour  percent in which it has the colour that it had
    same_kind    percent in which it has the form that it had
    kept         percent in which it has both

For pictures of things on a plain ground (the data set `scenes/blobs`), which
`data.procedural.dragged` reads exactly. The output that is looked at
(`predict`) is that of `edit.diffuhaul`: pictures `source` and `image`,
`ellipses` before and `moved` ones after, of which that of the thing differs, in
each picture its own. Pictures are rounded to 8 bits first.
"""

import dataclasses

import numpy as np

from jmim.core import field
from jmim.data.procedural import dragged
from jmim.evals.lib import base
from jmim.evals.lib import context as contexts
from jmim.evals.lib import draw
from jmim.evals.lib import outputs
from jmim.runlog import readings

MAKES = "edit.diffuhaul: 'apply'"
NAMES = {"colour": "same_colour", "kind": "same_kind"}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Evaluator(base.Evaluator):
  """Shares of drags that did what was asked for, and a sheet of them."""

  reads = ((r"(moved|clear|same_.+|kept)", readings.PERCENT),)

  predict: str = field.value("apply", "dict of pictures and ellipses")
  limit: int = field.value(0, "examples; 0: all", low=0)
  examples: int = field.value(8, "examples drawn", low=1)

  def run(self, context: contexts.Context) -> base.Results:
    """Yields what the module lists, examples, and a sheet."""
    rows: dict[str, list[np.ndarray]] = {}
    first, count = None, 0
    for out, _ in context.outputs(
      self.predict, "eval", self.limit or None, self.weights
    ):
      read = lambda name, out=out: outputs.entry(out, name, MAKES)
      source, image = (context.pixels(read(n)) for n in ("source", "image"))
      before, after = (np.asarray(read(n)) for n in ("ellipses", "moved"))
      which = np.abs(after - before).max(-1).argmax(1)
      found = dragged.measures(source, image, before, after, which=which)
      for name, values in found.items():
        rows.setdefault(NAMES.get(name, name), []).append(values)
      first = first or {"source": source, "image": image}
      count += len(source)
    for key, parts in rows.items():
      yield key, 100 * float(np.concatenate(parts).mean())
    yield "examples", count
    shown = {title: x[: self.examples] for title, x in first.items()}
    yield "sheet", draw.sheet(shown, pairs=3)
