"""Pictures of the built-in portraits, for `draw_methods`."""

import dataclasses
import pathlib

import numpy as np

from jmim.data import decode
from jmim.data.builders import faces as builder
from jmim.data.procedural import portrait_drawing
from jmim.data.procedural import portraits
from jmim.evals import dubbing
from jmim.evals.lib import draw
from jmim.tools import sheets

SCALE = 3
CLIPS, PAIRS, SHOWN = 2, 4, 10
_CONFIGS = {c.name: c for c in builder.Faces.BUILDER_CONFIGS}


def portraits_sheet(path: pathlib.Path) -> None:
  """Strangers with what becomes of the source, and frames of clips."""
  rows = [_pair(i) for i in range(PAIRS)] + [_clip(i) for i in range(CLIPS)]
  rows = [np.concatenate(list(row), axis=1) for row in rows]
  width = max(row.shape[1] for row in rows)
  fill = lambda x: np.pad(
    x, ((0, 0), (0, width - x.shape[1]), (0, 0)), constant_values=255
  )
  picture = np.concatenate([fill(row) for row in rows])
  sheets.write_few(path, picture, colours=128)


def _larger(images):
  side = (images.shape[1] * SCALE, images.shape[2] * SCALE)
  return draw.fitted(images, side)


def _pair(i):
  """Source, query, image, rendering, one factor alone, regions."""
  made = builder.Faces.example(_CONFIGS["strangers"], "test", i)
  image = decode.decode(made["image"].getvalue(), 3)
  regions = draw.classes(made["segmentation"][None])[0]
  pictures = [made["source"], made["query"], image, made["rendering"]]
  return _larger(np.stack([*pictures, *made["edits"], regions]))


def _clip(i):
  frames = builder.Faces.example(_CONFIGS["clips"], "test", i)["frames"]
  at = np.linspace(0, len(frames) - 1, SHOWN - 2).astype(int)
  return _larger(frames[at])


def dubbed(path: pathlib.Path) -> None:
  """Frames of a clip, the same with the mouth of another, and its opening."""
  strips = []
  for i in range(CLIPS):
    own, other = (builder.Faces.clip("test", k) for k in (i, i + CLIPS))
    spoken = [
      dataclasses.replace(a, expression=_saying(a.expression, b.expression))
      for a, b in zip(own.frames, other.frames, strict=True)
    ]
    size = _CONFIGS["clips"].size
    drawn = [
      np.stack([portrait_drawing.render(p, size) for p in clip])
      for clip in (own.frames, spoken)
    ]
    mouth = np.array([(p.expression.open, p.expression.width) for p in spoken])
    strips.append(dubbing.strip(*drawn, mouth, scale=SCALE))
  sheets.write_few(path, np.concatenate(strips), colours=128)


def _saying(own: portraits.Expression, other: portraits.Expression):
  """Itself with the other one's mouth; its corners, lids and brows stay."""
  return dataclasses.replace(own, open=other.open, width=other.width)


FIGURES = {"portraits": portraits_sheet, "dubbing": dubbed}
