"""Restoration metrics: PSNR (RGB and Y), SSIM, LPIPS.

    PSNR = -10 log10 mean (a - b)^2;  SSIM: 11 x 11 Gaussian, std 1.5
    LPIPS: AlexNet, v0.1, with weights the user supplies

Mean over images, each once. The method's `restore` gives `image` and, unless
the batch's own image is what should come out, `target`; all as the inputs are
(normalised). They are rounded to 8 bits first, as files would be; `crop` pixels
at the border do not count (super-resolution papers leave out as many as the
factor). Y is BT.601 luma in 16 .. 235. It may also give `input`, what was to be
restored: it is drawn, and measured where it is of the target's size. Frames of
clips [b, t, h, w, c] are images.
"""

import dataclasses

import numpy as np

from jmim.core import field
from jmim.evals.lib import base
from jmim.evals.lib import context as contexts
from jmim.evals.lib import draw
from jmim.evals.lib import perceptual
from jmim.metrics import restoration
from jmim.runlog import readings

SHOWN = ("image", "target", "input")  # entries that are pictures
Distance = perceptual.Distance


@dataclasses.dataclass(frozen=True, kw_only=True)
class Evaluator(base.Evaluator):
  """PSNR in decibels, SSIM and LPIPS, and a sheet of the first images."""

  reads = (
    (r"psnr.*", readings.Reading("dB", readings.HIGHER)),
    ("ssim", readings.MORE),
    ("lpips", readings.LESS),
  )

  predict: str = field.value(
    "restore", "dict with image, perhaps target and input"
  )
  crop: int = field.value(0, "border left out [pixels]", low=0)
  lpips: str = field.value("", ".npz of AlexNet and LPIPS weights; '': none")
  lpips_sha256: str = field.value("", "hash the file must have")
  limit: int = field.value(0, "examples; 0: all", low=0)
  examples: int = field.value(8, "images drawn", low=1)

  def run(self, context: contexts.Context) -> base.Results:
    """Yields psnr, psnr_y, ssim, lpips (with weights) and a sheet.

    psnr_input where the input is of the target's size.
    """
    distance, details = perceptual.load(self.lpips, self.lpips_sha256)
    told = f"{self.predict}/target" in context.widths((self.predict,))
    rows, first = [], None
    for out, batch in context.outputs(
      self.predict,
      "eval",
      self.limit or None,
      self.weights,
      entries=() if told else ("image",),
    ):
      pictures = {name: out[name] for name in SHOWN if name in out}
      shown = {n: context.pixels(_frames(x)) for n, x in pictures.items()}
      shown = {"target": batch["image"]} | shown if "image" in batch else shown
      rows.append(self._measures(shown, distance))
      first = first or {k: x[: self.examples] for k, x in shown.items()}
    for name in rows[0]:
      yield name, float(np.concatenate([r[name] for r in rows]).mean())
    yield "examples", sum(len(r["psnr"]) for r in rows)
    yield "details", details
    yield "sheet", _sheet(first)

  def _measures(
    self, shown: dict[str, np.ndarray], distance: Distance | None
  ) -> dict[str, np.ndarray]:
    """Metric -> [n], for uint8 image, target and perhaps input."""
    target = shown["target"]
    found = self._measure(shown["image"], target, distance)
    given = shown.get("input")
    if given is not None and given.shape == target.shape:
      found["psnr_input"] = self._measure(given, target, None)["psnr"]
    return found

  def _measure(
    self, restored: np.ndarray, target: np.ndarray, distance: Distance | None
  ) -> dict[str, np.ndarray]:
    """Metric -> [n], for uint8 images."""
    inner = slice(self.crop, -self.crop or None)
    a, b = (x[:, inner, inner] / 255.0 for x in (restored, target))
    each = lambda fn: np.array([fn(*x) for x in zip(a, b, strict=True)])
    metrics = {"psnr": each(restoration.psnr)}
    if a.shape[-1] == 3:
      luma = restoration.luma
      metrics["psnr_y"] = each(lambda x, y: restoration.psnr(luma(x), luma(y)))
    if min(a.shape[1:3]) >= 11:
      metrics["ssim"] = each(restoration.ssim)
    if distance:
      metrics["lpips"] = np.asarray(distance(a, b))
    return metrics


def _frames(x: np.ndarray) -> np.ndarray:
  """[b, h, w, c], or of clips [b, t, h, w, c] all frames [b t, h, w, c]."""
  return x.reshape(-1, *x.shape[-3:])


def _sheet(shown: dict[str, np.ndarray]) -> np.ndarray:
  """A picture of what came in, if it is known, what came out, and the truth."""
  side = shown["target"].shape[1:3]
  columns = {"target": shown["target"], "restored": shown["image"]}
  if "input" in shown:
    columns = {"input": draw.fitted(shown["input"], side), **columns}
  return draw.sheet(columns)
