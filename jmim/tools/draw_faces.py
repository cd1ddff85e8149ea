"""Pictures of the built-in portraits, for `draw_methods`."""

import pathlib

import numpy as np
import PIL.Image

from jmim.data import decode
from jmim.data.builders import faces as builder
from jmim.data.procedural import portrait_drawing
from jmim.data.procedural import portraits
from jmim.evals import dubbing
from jmim.evals.lib import draw

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
  _save(np.concatenate([fill(row) for row in rows]), path)


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
      a.taking(_saying(a, b), ("expression",))
      for a, b in zip(own.frames, other.frames, strict=True)
    ]
    size = builder.Faces.BUILDER_CONFIGS[1].size
    drawn = [
      np.stack([portrait_drawing.render(p, size) for p in clip])
      for clip in (own.frames, spoken)
    ]
    mouth = np.array([(p.expression.open, p.expression.width) for p in spoken])
    strips.append(dubbing.strip(*drawn, mouth, scale=SCALE))
  _save(np.concatenate(strips), path)


def _saying(own: portraits.Portrait, other: portraits.Portrait):
  """Itself with the other one's mouth; lids and brows stay."""
  a, b = own.expression, other.expression
  mouth = portraits.Expression(
    open=b.open, width=b.width, curve=a.curve, brows=a.brows, closed=a.closed
  )
  return portraits.Portrait(identity=own.identity, expression=mouth)


def _save(picture, path):
  image = PIL.Image.fromarray(picture)
  image.quantize(128).save(path, optimize=True)


FIGURES = {"portraits": portraits_sheet, "dubbing": dubbed}
