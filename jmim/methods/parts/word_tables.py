"""What DiffuMask sets by hand for the classes of PASCAL VOC.

weijiawu/DiffuMask@913d232. A class has words, of whose tokens its map is made;
sides of the attention that are looked at; bounds of its threshold; and numbers
that are added to the levels of what is surely the thing, or surely not.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jmim.core import method

VOC = (
  "aeroplane",
  "bicycle",
  "bird",
  "boat",
  "bottle",
  "bus",
  "car",
  "cat",
  "chair",
  "cow",
  "diningtable",
  "dog",
  "horse",
  "motorbike",
  "person",
  "pottedplant",
  "sheep",
  "sofa",
  "train",
  "tvmonitor",
)
# Words of a class, where it is not its own only one. The authors list pieces
# ("aerop", "lane"), which are the tokens of these words.
WORDS = {
  "diningtable": "table",
  "person": "arm person man woman child boy girl teenager",
  "pottedplant": "pot plant pottedplant",
  "tvmonitor": "monitor tv tvmonitor",
}
SIDES = {
  "diningtable": (16,),
  "sofa": (8,),
  "train": (8,),
  "tvmonitor": (8,),
}


class Row(NamedTuple):
  """Of a class.

  Attributes:
    low: least threshold [percent].
    high: the first above the greatest [percent].
    least: share of the picture that each of thing and ground has surely.
    thing: added to the level above which is surely the thing.
    ground: added to the level below which is surely not.
  """

  low: float = 45
  high: float = 53
  least: float = 0.06
  thing: float = -0.04
  ground: float = 0.02


ROWS = {
  "aeroplane": Row(low=48, thing=-0.02, ground=0.05),
  "boat": Row(low=48, thing=-0.02, ground=0.05),
  "diningtable": Row(low=55, high=64, ground=0.04),
  "person": Row(low=48, high=55, least=0.01, thing=0.06, ground=0.06),
  "sofa": Row(low=48, high=58, thing=-0.01, ground=0.07),
}
TABLES = {"voc": VOC, "plain": ("",)}


def words() -> tuple[str, ...]:
  """Words of each class of VOC, with blanks between them."""
  return tuple(WORDS.get(name, name) for name in VOC)


def label(name: str, batch: method.Batch) -> jax.Array:
  """int32 [b]: row of each example in a table; "plain" has one for all."""
  if name == "plain":
    return jnp.zeros(method.batch_size(batch), jnp.int32)
  return batch["label"]


def sides(name: str, usual: tuple[int, ...]) -> list[tuple[int, ...]]:
  """Sides of attention of each class of a table.

  Args:
    name: of the table.
    usual: of a class without an exception.
  """
  return [SIDES.get(one, usual) for one in TABLES[name]]


def rows(name: str) -> np.ndarray:
  """float32 [classes, 5] `Row` of each class of a table."""
  return np.float32([ROWS.get(one, Row()) for one in TABLES[name]])
