r"""Clips in another garment, against the same clips truly rendered in it.

    psnr_garment   of pixels where the garment is hidden from the method [dB]
    psnr_outside   of all others, as they were made, nothing pasted [dB]
    colour_error   |mean colour of the garment - the true one|, in 0 .. 1
    flicker        mean |G(t + 1) - G(t)|, G: the garment without its motion
    flicker_true   the same of the true clip
    error_first    mean |G - true G| in the first `ends` frames
    error_last     in the last ones, of clips of twice as many at least
    drift          error_last - error_first

G is read along the motion that the data set stores of each frame, an affine
map M [2, 3] from coordinates of the garment, -1 .. 1, to pixels: G(u, v) is the
frame at M (u, v, 1), bilinear. What the method gives has `made` and, pasted
into the rest of the clip, `image` [b, t, h, w, c]; both are rounded to 8 bits
first. Made for VITON-DiT.
"""

import dataclasses

import cv2
import numpy as np

from jmim.core import errors
from jmim.core import field
from jmim.evals.lib import base
from jmim.evals.lib import context as contexts
from jmim.evals.lib import draw
from jmim.evals.lib import outputs
from jmim.evals.lib import stored
from jmim.metrics import restoration
from jmim.runlog import readings

READS = ("image", "made")
MAKES = "edit.viton_dit: 'dress'"
INNER = 0.8  # of the garment, so far from its edge
GRID = 12  # samples along a side of it
CAP = 20 * np.log10(255 / 0.1)  # [dB], a level of 255 off everywhere by 0.1
DECIBEL = readings.Reading("dB", readings.HIGHER)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Evaluator(base.Evaluator):
  """How right a garment is, how steady, and a sheet of clips."""

  reads = (
    (r"psnr.*", DECIBEL),
    (r"colour_error|flicker|error_.+|drift", readings.LESS),
  )

  predict: str = field.value("dress", "dict of clips: image, made")
  target: str = field.value("swapped", "stored clips, uint8, as they should be")
  masks: str = field.value("masks", "stored masks of the garment")
  motion: str = field.value(
    "motion", "stored maps from the garment to pixels; '': none, no flicker"
  )
  ends: int = field.value(
    8,
    "frames at either end that drift is between; no drift in less than both",
    low=1,
  )
  limit: int = field.value(0, "examples; 0: all", low=0)
  examples: int = field.value(4, "clips drawn", low=1)

  def run(self, context: contexts.Context) -> base.Results:
    """Yields what the module lists, examples, and a sheet."""
    rows: dict[str, list[float]] = {}
    first, limit = None, self.limit or None
    for out, batch in context.outputs(
      self.predict, "eval", limit, self.weights, entries=("index",)
    ):
      clips = {n: context.pixels(outputs.entry(out, n, MAKES)) for n in READS}
      read = lambda name, at=batch["index"]: stored.annotation(
        context, "eval", at, name
      )
      names = (self.target, self.masks, *([self.motion] if self.motion else ()))
      beside = [read(name)[:, : clips["made"].shape[1]] for name in names]
      _check(clips["made"], beside[0], self.target)
      for example in zip(*clips.values(), *beside, strict=True):
        for name, value in self._measured(*example).items():
          rows.setdefault(name, []).append(value)
      first = first or (beside[0], clips["image"])
    for name, values in rows.items():
      yield name, float(np.mean(values))
    yield "examples", len(rows["psnr_garment"])
    yield "sheet", _sheet(*(x[: self.examples] for x in first))

  def _measured(
    self,
    image: np.ndarray,
    made: np.ndarray,
    target: np.ndarray,
    masks: np.ndarray,
    motion: np.ndarray | None = None,
  ) -> dict[str, float]:
    """Measure -> value, of one clip [t, h, w, c] uint8."""
    where = masks > 0
    pixels = lambda x, at: x[at].astype(np.float64) / 255
    true = pixels(target, where)
    gap = pixels(image, where).mean(0) - true.mean(0)
    found = {
      "psnr_garment": _psnr(pixels(image, where), true),
      "psnr_outside": _psnr(pixels(made, ~where), pixels(target, ~where)),
      "colour_error": float(np.abs(gap).mean()),
    }
    if motion is None:
      return found
    g, want = (unmoved(x, motion) for x in (image, target))
    error = np.abs(g - want).mean((1, 2, 3))
    if 2 * self.ends <= len(error):  # else the same frames are at both
      last, first = error[-self.ends :].mean(), error[: self.ends].mean()
      found |= {"error_first": float(first), "error_last": float(last)}
      found["drift"] = float(last - first)
    if len(g) > 1:
      steady = lambda x: float(np.abs(np.diff(x, axis=0)).mean())
      found |= {"flicker": steady(g), "flicker_true": steady(want)}
    return found


def unmoved(clip: np.ndarray, motion: np.ndarray) -> np.ndarray:
  """The garment by itself in each frame, [t, GRID, GRID, c] in 0 .. 1.

  Args:
    clip: uint8 [t, h, w, c].
    motion: [t, 2, 3], (x, y) = M (u, v, 1); a pixel is a square of side 1, the
      first at 0 .. 1.
  """
  at = INNER * (2 * (np.arange(GRID) + 0.5) / GRID - 1)
  u, v = np.meshgrid(at, at)
  places = np.stack([u, v, np.ones_like(u)], axis=-1)
  frames = []
  for frame, m in zip(clip, motion, strict=True):
    x, y = np.moveaxis(places @ np.asarray(m, np.float64).T - 0.5, -1, 0)
    x, y = x.astype(np.float32), y.astype(np.float32)
    levels = frame.astype(np.float32) / 255
    found = cv2.remap(
      levels, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    frames.append(found.reshape(GRID, GRID, -1))
  return np.stack(frames)


def _psnr(a: np.ndarray, b: np.ndarray) -> float:
  """Decibels, of equal ones CAP."""
  return min(restoration.psnr(a, b), CAP)


def _check(made: np.ndarray, target: np.ndarray, name: str) -> None:
  if made.shape != target.shape:
    raise errors.UserError(
      f"clips {made.shape[1:]} were made, the data set stores {name} "
      f"{target.shape[1:]}",
      "clips of one shape",
      "name other stored clips, or make the sizes of the method those of the "
      "data",
      "evals.<name>.target",
    )


def _sheet(target: np.ndarray, image: np.ndarray) -> np.ndarray:
  """The true clip above the one that was made, frames in a row."""
  row = lambda x: np.concatenate(list(np.moveaxis(x, 1, 0)), axis=2)
  both = np.concatenate([row(target), row(image)], axis=1)
  return draw.sheet({"true, made": both}, pairs=1, scale=2)
