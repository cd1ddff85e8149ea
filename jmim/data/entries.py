"""Entries of a batch: one table, read by all that handles batches.

    kind        on its way to the devices   augmentation
    pixels      uint8 [(n,) h, w, c]        cropped, mirrored, recoloured; then
                                            float32, normalised
    map         as stored [h, w, ...]       cropped and mirrored with its image;
                                            values are never mixed
    view boxes  float32 [n, 4]              turned with the views they place
    rectangles  as stored [..., 4]          mirrored with their image
    volume      uint8 [d, h, w]             as pixels (`data.volumes`)
    volume map  as stored [d, h, w]         mirrored and turned with its volume
    points      float32 [n, 3]              drawn, normalised, turned, scaled
    numbers     as stored                   none
    service     int32 or bool               none; no method reads it

A name that is not in the table is a number of the data set, passed on as int32
or float32: any of them may be an input of a method. A new kind of picture or
map is one line here; `data.pictures` adds pictures of one data set, and
`data.group` gives all but its id a dimension of members (`table`).
"""

import dataclasses
from collections.abc import Callable
from collections.abc import Iterable
from typing import Any

import numpy as np

from jmim.core.settings import data as settings

PIXELS = "pixels"
MAP = "map"
VIEW_BOXES = "view boxes"
RECTANGLES = "rectangles"
VOLUME = "volume"
VOLUME_MAP = "volume map"
POINTS = "points"
NUMBERS = "numbers"
SERVICE = "service"

# Of several images in one entry: each is changed in its own way, or all alike.
APART = "apart"
ALIKE = "alike"

Shape = tuple[int, ...]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Entry:
  """What is known of an entry of a batch.

  Attributes:
    kind: one of those above.
    several: APART or ALIKE, of pixels with a dimension of images.
    of: name of the pixels or the volume that a map or boxes go with.
    features: stored pictures that pixels are made of.
    shape: settings -> shape of one example, None where they make none of it;
      None: only the examples can tell.
    dtype: on its way to the devices; None: as stored.
    evaluated: whether evaluation has it even where training has not.
    sent: whether it travels to the devices even if the method does not read
      it: pictures and labels are what evaluators look at.
    corner: of rectangles, the place of x; y, width, height follow.
    still: whether it stays as it is stored, and would no longer fit an image
      that is cropped or mirrored.
    remedy: what to set for a batch to have it.
  """

  kind: str = NUMBERS
  several: str = ""
  of: str = ""
  features: tuple[str, ...] = ()
  shape: Callable[[settings.Data], Shape | None] | None = None
  dtype: Any = None
  evaluated: bool = False
  sent: bool = False
  corner: int = 0
  still: bool = False
  remedy: str = "choose a data set that stores it, or a method for this data"


def _still(data: settings.Data, *each: int) -> Shape | None:
  return None if data.frames or data.volume else each


def _image(data: settings.Data) -> Shape | None:
  return None if data.views else _still(data, *data.image)


def _views(data: settings.Data, *each: int) -> Shape | None:
  return (data.views, *each) if data.views and not data.frames else None


def _locals(data: settings.Data, *each: int) -> Shape | None:
  n = data.local_views
  return (n, *each) if n and not data.frames else None


def _small(data: settings.Data) -> Shape:
  return (data.local_size, data.local_size, data.channels)


def _boxes(of: str, key: str, each: Callable[..., Shape | None]) -> Entry:
  """Where each view of an image is, four numbers."""
  return Entry(
    kind=VIEW_BOXES,
    of=of,
    shape=lambda data: each(data, 4),
    dtype=np.float32,
    remedy=f"set {key}",
  )


ENTRIES: dict[str, Entry] = {
  "image": Entry(
    kind=PIXELS,
    features=("image",),
    shape=_image,
    dtype=np.uint8,
    evaluated=True,
    sent=True,
    remedy="set data.views=0 and data.frames=0",
  ),
  "views": Entry(
    kind=PIXELS,
    several=APART,
    shape=lambda data: _views(data, *data.image),
    dtype=np.uint8,
    remedy="set data.views",
  ),
  "boxes": _boxes("views", "data.views", _views),
  "locals": Entry(
    kind=PIXELS,
    several=APART,
    shape=lambda data: _locals(data, *_small(data)),
    dtype=np.uint8,
    remedy="set data.local_views",
  ),
  "local_boxes": _boxes("locals", "data.local_views", _locals),
  "video": Entry(
    kind=PIXELS,
    several=ALIKE,
    features=("video",),
    shape=lambda data: (data.frames, *data.image) if data.frames else None,
    dtype=np.uint8,
    remedy="set data.frames",
  ),
  "pair": Entry(
    kind=PIXELS,
    several=ALIKE,
    features=("low", "high"),
    shape=lambda data: _still(data, 2, *data.image),
    dtype=np.uint8,
    remedy="set data.frames=0, and store `low` and `high`",
  ),
  "label": Entry(shape=lambda data: (), dtype=np.int32, sent=True),
  "volume": Entry(
    kind=VOLUME,
    features=("volume",),
    shape=lambda data: tuple(data.volume) or None,
    dtype=np.uint8,
    remedy="set data.volume",
  ),
  **dict.fromkeys(("cells", "membrane"), Entry(kind=VOLUME_MAP, of="volume")),
  # Maps of what is where in `image`; `structure`: `nn.structure` of the whole,
  # the last three: of `edit.diffumask`.
  **dict.fromkeys(
    ("segmentation", "semantic", "instance", "depth", "structure")
    + ("word_map", "seeds", "mask"),
    Entry(kind=MAP, of="image"),
  ),
  # Objects (class, x, y, width, height) and the part shown, in shares of an
  # image; see `nn.nets.token_encoder.layout`.
  "objects": Entry(kind=RECTANGLES, of="image", corner=1),
  "crop": Entry(kind=RECTANGLES, of="image"),
  "points": Entry(
    kind=POINTS,
    dtype=np.float32,
    remedy="choose a data set of clouds ('shapes/solids')",
  ),
  **dict.fromkeys(("moments", "landmarks"), Entry(still=True)),
  **dict.fromkeys(("view_pose", "view_focal"), Entry(still=True)),
  "marks": Entry(remedy="set data.tokenizer and data.text_words"),
  # Which example a slot holds, and whether it is one or a filler.
  "index": Entry(kind=SERVICE, dtype=np.int32),
  "valid": Entry(kind=SERVICE, dtype=np.bool_),
}

# Pixels of stored pictures; `image`, `video` and volumes have their own rules.
PICTURES = {
  name: entry
  for name, entry in ENTRIES.items()
  if entry.features and name not in ("image", "video", "volume")
}
# Stored pictures: they are decoded, where numbers are passed on.
FEATURES = frozenset(f for e in ENTRIES.values() for f in e.features)


def named(data: settings.Data) -> dict[str, Entry]:
  """Entries of `data.pictures`: each shown as it is stored."""
  return {
    name: Entry(
      kind=PIXELS,
      several=ALIKE if len(sides) > 2 else "",
      features=(name,),
      shape=lambda data, sides=tuple(sides): (*sides, data.channels),
      dtype=np.uint8,
      still=True,
      remedy=f"store {name!r}, or take it out of data.pictures",
    )
    for name, *sides in data.pictures
  }


def made(data: settings.Data) -> dict[str, Entry]:
  """`tokens`, those of `data.texts`, and marks, if `data.tokenizer` is set."""
  if not data.tokenizer:
    return {}
  entry = Entry(shape=lambda data: (data.text_length,), dtype=np.int32)
  marks = ("marks",) if data.text_words else ()
  others = (name for name, _ in data.texts)
  return dict.fromkeys(("tokens", *others, *marks), entry)


def table(data: settings.Data | None) -> dict[str, Entry]:
  """All entries under some settings; None: those that all data sets share."""
  if data is None:  # asked for with every example
    return ENTRIES
  whole = ENTRIES | named(data) | made(data)
  if not data.group:
    return whole
  return {
    name: entry if name == data.group else _grouped(entry)
    for name, entry in whole.items()
  }


def _grouped(entry: Entry) -> Entry:
  """An entry of which an example holds one per member."""
  if entry.shape is None:
    return entry

  def shape(data: settings.Data) -> Shape | None:
    one = entry.shape(data)
    return one if one is None else (data.members, *one)

  return dataclasses.replace(entry, shape=shape)


def of(name: str, data: settings.Data | None = None) -> Entry:
  """The entry of a name; unknown ones are numbers as stored.

  Args:
    name: of an entry.
    data: settings, for entries that depend on them.
  """
  return table(data).get(name, Entry())


def among(
  names: Iterable[str], *kinds: str, data: settings.Data | None = None
) -> dict[str, Entry]:
  """Those of some names that are of these kinds, in the order of the table."""
  present = set(names)
  return {
    name: entry
    for name, entry in table(data).items()
    if name in present and entry.kind in kinds
  }


def going_with(pixels: str, names: Iterable[str]) -> dict[str, Entry]:
  """Those of some names that go with the images of an entry."""
  moving = among(names, MAP, VIEW_BOXES, RECTANGLES)
  return {name: entry for name, entry in moving.items() if entry.of == pixels}


def fits(shape: Shape, height: int, width: int) -> bool:
  """Whether an array [h, w, ...] has the aspect of an image, to a pixel.

  What is stored under the name of a map may be one per frame, say.
  """
  if len(shape) < 2:
    return False
  return abs(shape[0] * width - shape[1] * height) <= max(height, width)


def sent(inputs: Iterable[str]) -> tuple[str, ...]:
  """Names that travel to the devices, if a batch has them.

  Args:
    inputs: of the method.
  """
  always = (name for name, entry in ENTRIES.items() if entry.sent)
  return tuple(dict.fromkeys((*always, *inputs)))


def readable(names: Iterable[str]) -> list[str]:
  """Those of some names that a method may read: all but service."""
  return [name for name in names if of(name).kind != SERVICE]
