r"""Mouths of dubbed clips: do they open as they should.

Of clips (`video` [b, m, h, w, c] and true `mouth` [b, m, 2], whose first number
is the opening), or of pictures made by the code of another (`image`, `guide`):

    correlation   of the opening that is seen with the true one, over the frames
                  of a clip, mean over clips; or with that of the guide, over
                  all pictures
    truth         the same of the true `frames`: what the reading can reach
    hue           percent of a circle by which skin differs from the source's

For the faces of `data.procedural.portraits`, whose mouths
`data.procedural.mouths` reads. The output that is looked at (`predict`) is that
of `edit.dubbing`, or `swapped` of `edit.diffdub`.
"""

import dataclasses
from collections.abc import Mapping

import numpy as np

from jmim.core import errors
from jmim.core import field
from jmim.data.procedural import mouths
from jmim.evals.lib import base
from jmim.evals.lib import context as contexts
from jmim.evals.lib import draw
from jmim.metrics import attributes
from jmim.runlog import readings

CLIPS = ("video", "frames", "mouth")
PICTURES = ("image", "guide", "source")
SHOWN = 10  # frames of a strip


@dataclasses.dataclass(frozen=True, kw_only=True)
class Evaluator(base.Evaluator):
  """Correlation of openings, and a strip of frames with their curves."""

  reads = (
    (r"(correlation|truth)", readings.MORE),
    ("hue", readings.Reading("%", readings.LOWER)),
  )

  predict: str = field.value("apply", "dict of clips, or of pictures")
  limit: int = field.value(0, "examples; 0: all", low=0)
  examples: int = field.value(4, "examples drawn", low=1)

  def run(self, context: contexts.Context) -> base.Results:
    """Yields what the module lists, examples, and a picture."""
    rows: dict[str, list[np.ndarray]] = {}
    for out, _ in context.outputs(
      self.predict, "eval", self.limit or None, self.weights
    ):
      for name in self._names(out):
        x = np.asarray(out[name])
        x = x if name == "mouth" else context.pixels(x)
        rows.setdefault(name, []).append(x)
    found = {name: np.concatenate(parts) for name, parts in rows.items()}
    yield from _of_clips(found) if "video" in found else _of_pictures(found)
    yield "examples", len(next(iter(found.values())))
    yield "sheet", self._sheet(found)

  def _names(self, out: Mapping[str, np.ndarray]) -> tuple[str, ...]:
    """What is there of either; raises UserError where both lack something."""
    for names in (CLIPS, PICTURES):
      if not [n for n in names if n not in out]:
        return names
    known = " or ".join(", ".join(names) for names in (CLIPS, PICTURES))
    raise errors.UserError(
      f"evals.<name>.predict={self.predict!r} has {', '.join(out)}",
      f"an output with {known}",
      "name another, or keep `mouth` (procedure.kept)",
      "evals.<name>.predict",
    )

  def _sheet(self, found):
    """Pictures side by side; of clips strips over what was to be seen."""
    if "video" not in found:
      names = ("source", "guide", "image")
      return draw.sheet({n: found[n][: 2 * self.examples] for n in names})
    clips = range(min(self.examples, len(found["video"])))
    return np.concatenate(
      [
        strip(*(found[n][i] for n in ("frames", "video", "mouth")))
        for i in clips
      ]
    )


def _of_clips(found):
  for key, name in (("correlation", "video"), ("truth", "frames")):
    pairs = zip(found[name], found["mouth"][..., 0], strict=True)
    each = [attributes.pearson(mouths.opening(x), y) for x, y in pairs]
    yield key, float(np.mean(each))


def _of_pictures(found):
  seen, told = (mouths.opening(found[n]) for n in ("image", "guide"))
  yield "correlation", attributes.pearson(seen, told)
  hues = [mouths.skin_hue(found[n]) for n in ("image", "source")]
  gap = np.abs(hues[0] - hues[1])
  yield "hue", 100 * float(np.mean(np.minimum(gap, 1 - gap)))


def strip(
  frames: np.ndarray, video: np.ndarray, mouth: np.ndarray, scale: int = 3
) -> np.ndarray:
  """uint8 [H, W, 3]: frames, the same dubbed, and openings below them.

  The true opening is dark, the one that is seen red; both from least to most.

  Args:
    frames: uint8 [m, h, w, 3].
    video: uint8 [m, h, w, 3].
    mouth: [m, 2], the opening first.
    scale: pixels of one of theirs.
  """
  at = np.linspace(0, len(frames) - 1, min(SHOWN, len(frames))).astype(int)
  side = (frames.shape[1] * scale, frames.shape[2] * scale)
  row = lambda x: np.concatenate(list(draw.fitted(x[at], side)), axis=1)
  picture = np.concatenate([row(frames), row(video)])
  curves = np.full((2 * side[0] // 3, picture.shape[1], 3), 255, np.uint8)
  seen = mouths.opening(video)
  for values, colour in ((mouth[:, 0], (40, 40, 40)), (seen, (200, 40, 40))):
    _curve(curves, values, colour)
  return np.concatenate([picture, curves])


def _curve(canvas, values, colour):
  """A line from left to right, its values over the whole height but an edge."""
  height, width = canvas.shape[:2]
  low, high = values.min(), values.max()
  share = (values - low) / max(high - low, 1e-12)
  places = np.linspace(0, len(values) - 1, width)
  level = np.interp(places, np.arange(len(values)), share)
  rows = np.round((height - 5) * (1 - level)).astype(int) + 1
  last = rows[0]
  for x, y in enumerate(rows):
    canvas[min(last, y) : max(last, y) + 2, x] = colour
    last = y
