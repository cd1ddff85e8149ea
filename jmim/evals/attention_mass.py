"""How much of an attention map lies inside a mask.

    mass   = sum_inside map / sum map       percent, mean over examples
    area   = share of the mask              percent: the mass of an even map
    centre = mass of a box in the middle as large as the mask, put in the place
             of the map: 1 within it

The output (`predict`) has a map [b, h, w] (`map`), what is below 0 counts as 0;
or several [b, k, h, w]. The mask is another entry (`inside`), of that shape or
[b, h, w]; or "thing": the mask of the one thing in `image`, from the pixels
(pictures as of `scenes/one`). Maps of nothing, and empty masks, are left out.
"""

import dataclasses

import numpy as np

from jmim.core import errors
from jmim.core import field
from jmim.evals.lib import base
from jmim.evals.lib import context as contexts
from jmim.evals.lib import marked
from jmim.evals.lib import outputs
from jmim.metrics import dense
from jmim.runlog import readings


def mass(maps: np.ndarray, mask: np.ndarray) -> np.ndarray:
  """[n] share of each map [n, h, w] inside its mask bool [n, h, w]."""
  maps = np.maximum(maps.astype(np.float64), 0)
  total = maps.sum((1, 2))
  return (maps * mask).sum((1, 2)) / np.where(total > 0, total, 1)


def centre(mask: np.ndarray) -> np.ndarray:
  """bool [n, h, w]: a box in the middle, about as large as each mask."""
  h, w = mask.shape[1:]
  share = np.sqrt(mask.mean((1, 2)))[:, None, None]
  y, x = (np.mgrid[:h, :w] + 0.5) / np.array([h, w])[:, None, None] - 0.5
  return np.maximum(np.abs(y), np.abs(x)) < share / 2


@dataclasses.dataclass(frozen=True, kw_only=True)
class Evaluator(base.Evaluator):
  """Mass of maps inside masks, beside that of an even map."""

  reads = ((r"mass|area|centre", readings.PERCENT),)

  predict: str = field.value("apply", "dict of maps and masks")
  map: str = field.value("word_map", "entry of the output that is the map")
  inside: str = field.value(
    "thing", "entry that is the mask; 'thing': what pixels of `image` show"
  )
  limit: int = field.value(0, "examples; 0: all", low=0)

  def run(self, context: contexts.Context) -> base.Results:
    """Yields mass, area, centre, and how many maps were counted."""
    rows = {"mass": [], "area": [], "centre": []}
    for out, _ in context.outputs(
      self.predict, "eval", self.limit or None, self.weights
    ):
      maps = outputs.named(out, self.map, "map")
      mask = marked.labels(context, out, self.inside, "inside")
      mask = (mask > 0) & (mask != dense.IGNORE)
      maps, mask = self._paired(maps, mask)
      some = (np.maximum(maps, 0).sum((1, 2)) > 0) & mask.any((1, 2))
      maps, mask = maps[some], mask[some]
      rows["mass"].append(mass(maps, mask))
      rows["area"].append(mask.mean((1, 2)))
      rows["centre"].append(mass(centre(mask), mask))
    found = {name: np.concatenate(parts) for name, parts in rows.items()}
    if not len(found["mass"]):
      raise errors.UserError(
        f"no map {self.map!r} with anything in it, and a mask",
        "one at least",
        "look at the results, or name other entries",
        "evals.<name>.map",
      )
    for name, values in found.items():
      yield name, 100.0 * float(values.mean())
    yield "examples", len(found["mass"])

  def _paired(self, maps, mask):
    """Both as [n, h, w]."""
    if maps.ndim == mask.ndim + 1:
      mask = np.broadcast_to(mask[:, None], maps.shape)
    if maps.shape != mask.shape or maps.ndim not in (3, 4):
      raise errors.UserError(
        f"maps {maps.shape[1:]} and masks {mask.shape[1:]}",
        "maps [h, w] or [k, h, w], and masks as large",
        "name other entries",
        "evals.<name>.inside",
      )
    flat = lambda x: x.reshape(-1, *x.shape[-2:])
    return flat(maps), flat(mask)
