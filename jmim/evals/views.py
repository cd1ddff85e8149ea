"""Views of scenes that are rendered from one of them: PSNR, SSIM, LPIPS.

    PSNR = -10 log10 mean (a - b)^2;  SSIM: 11 x 11 Gaussian, std 1.5
    LPIPS: VGG16, v0.1, with weights the user supplies

Mean over the views of a scene but for the input, then over scenes. The input is
the middle frame where the data number them (`order`), else the first view. The
output has `image` [b, m, h, w, 3], as the inputs are (normalised), and `depth`
[b, m, h, w]; pixels are rounded to 8 bits. Beside it stand the input in the
place of every view (`psnr_input`), the input's own view rendered (`psnr_own`),
the mean training image (`psnr_mean`), and views whose cameras were exchanged
(`psnr_shuffled`).
"""

import copy
import dataclasses
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import numpy as np

from jmim.core import errors
from jmim.core import field
from jmim.evals.lib import base
from jmim.evals.lib import context as contexts
from jmim.evals.lib import devices
from jmim.evals.lib import draw
from jmim.evals.lib import perceptual
from jmim.metrics import restoration
from jmim.runlog import readings

Arrays = devices.Arrays
CAMERA = ("view_pose", "view_focal")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Evaluator(base.Evaluator):
  """PSNR in decibels, SSIM and LPIPS per scene, and a sheet with depth."""

  reads = (
    (r"psnr.*", readings.Reading("dB", readings.HIGHER)),
    ("ssim", readings.MORE),
    ("lpips", readings.LESS),
  )

  predict: str = field.value("render", "dict with image and depth of all views")
  views: int = field.value(
    0, "views of a scene, the input among them; 0: data.members", low=0
  )
  order: str = field.value("frame", "stored number of a view along its scene")
  shuffled: bool = field.value(False, "views with exchanged cameras, too")
  mean_of: int = field.value(
    0, "training scenes whose mean image is compared; 0: none", low=0
  )
  lpips: str = field.value("", ".npz of VGG16 and LPIPS weights; '': none")
  lpips_sha256: str = field.value("", "hash the file must have")
  limit: int = field.value(0, "scenes; 0: all", low=0)
  examples: int = field.value(4, "scenes drawn", low=1)

  def check(
    self,
    path: str,
    sources: Mapping[str, Any],
    widths: Callable[[Sequence[str]], Mapping[str, int]],
  ) -> None:
    """Scenes must have as many views as are asked for."""
    del widths
    groups = sources["eval"]
    if not self.views or not hasattr(groups[0], "index"):
      return
    least = min(len(groups[i].index) for i in range(len(groups)))
    if least < max(self.views, 2):
      raise errors.UserError(
        f"{path}.views={self.views}; the smallest scene has {least}",
        "an input and other views, no more than there are",
        f"lower {path}.views",
        f"{path}.views",
      )

  def run(self, context: contexts.Context) -> base.Results:
    """Yields psnr, ssim, lpips (with weights), what stands beside, a sheet."""
    distance, details = perceptual.load(self.lpips, self.lpips_sha256, "vgg")
    mean = self._mean(context) if self.mean_of else None
    scenes, first = [], None
    for batch, out in self._rendered(context):
      for i in np.flatnonzero(batch["valid"]):
        shown = {n: x[i] / 255.0 for n, x in out.items() if n != "depth"}
        scenes.append(self._scene(shown, mean, distance))
      first = first or {n: x[: self.examples] for n, x in out.items()}
    for name in scenes[0]:
      yield name, float(np.mean([s[name] for s in scenes]))
    yield "scenes", len(scenes)
    yield "details", details
    yield "sheet", _sheet(first)

  def _rendered(self, context) -> Iterator[tuple[Arrays, Arrays]]:
    """Batches, and truth, image, shuffled (uint8) and depth of all scenes."""
    wide = viewing(context, self.views, self.order)
    gather = context.devices.gather
    for i, batch in enumerate(wide.batches("eval", self.limit or None)):
      batch = arranged(batch, self.order)
      if self.shuffled:
        _require_others(batch["image"].shape[1])
      made = wide.apply(self.predict, batch, self.weights, key=i)
      out = {
        "truth": gather(batch["image"]),
        "image": context.pixels(made["image"]),
        "depth": made["depth"],
      }
      if self.shuffled:
        other = wide.apply(self.predict, exchanged(batch), self.weights, key=i)
        out["shuffled"] = context.pixels(other["image"])
      yield {"valid": gather(batch["valid"])}, out

  def _scene(self, shown, mean, distance) -> dict[str, float]:
    """Measures of one scene's views [m, h, w, 3] in 0 .. 1."""
    truth, image = shown["truth"], shown["image"]
    each = lambda fn, a, b: float(np.mean([*map(fn, a, b)]))
    psnr = lambda a: each(restoration.psnr, a[1:], truth[1:])
    found = {"psnr": psnr(image)}
    if min(truth.shape[1:3]) >= 11:
      found["ssim"] = each(restoration.ssim, image[1:], truth[1:])
    if distance:
      found["lpips"] = float(np.mean(distance(image[1:], truth[1:])))
    found["psnr_input"] = psnr(np.repeat(truth[:1], len(truth), 0))
    found["psnr_own"] = restoration.psnr(image[0], truth[0])
    if mean is not None:
      found["psnr_mean"] = psnr(np.repeat(mean[None], len(truth), 0))
    if "shuffled" in shown:
      found["psnr_shuffled"] = psnr(shown["shuffled"])
    return found

  def _mean(self, context) -> np.ndarray:
    """[h, w, 3] mean of training images, rounded as pixels are."""

    def make():
      total, count = 0.0, 0
      for batch in context.batches("train", self.mean_of):
        valid = context.devices.gather(batch["valid"])
        images = context.devices.gather(batch["image"])[valid]
        total += images.astype(np.float64).sum((0, 1))
        count += images.shape[0] * images.shape[1]
      return np.rint(total / count) / 255

    return context.once(("mean image", self.mean_of), make)


def viewing(
  context: contexts.Context, members: int, order: str
) -> contexts.Context:
  """The same with other views of every group.

  Args:
    context: of the run.
    members: how many; 0: `data.members`.
    order: entry that is read with what the method reads, if it is stored.
  """
  made, spec = copy.copy(context), context.spec
  reads = spec.reads and (*dict(spec.reads, **{order: None}).items(),)
  members = members or spec.members
  made.spec = dataclasses.replace(spec, members=members, reads=reads)
  return made


def arranged(batch: Arrays, order: str) -> Arrays:
  """Views [b, m, ...] by their number, the middle one first.

  Args:
    batch: of which all that has a dimension of views is arranged.
    order: entry [b, m]; what has none keeps its order.
  """
  if order not in batch:
    return batch
  number = np.asarray(batch[order])
  b, m = number.shape
  place = np.argsort(number, axis=1, kind="stable")
  middle = m // 2
  first = [middle, *(i for i in range(m) if i != middle)]
  place = place[:, first]
  rows = np.arange(b)[:, None]
  several = lambda x: np.ndim(x) > 1 and x.shape[:2] == (b, m)
  return {n: x[rows, place] if several(x) else x for n, x in batch.items()}


def exchanged(batch: Arrays) -> Arrays:
  """Views 1, 2 .. of each scene with the camera of the next of them."""
  turn = lambda x: np.concatenate([x[:, :1], np.roll(x[:, 1:], 1, 1)], axis=1)
  return batch | {n: turn(np.asarray(batch[n])) for n in CAMERA if n in batch}


def _require_others(views):
  """Raises UserError for views of which none has another one's camera."""
  if views < 3:
    raise errors.UserError(
      f"shuffled=True with {views} views of a scene",
      "at least 3: an input, and two views whose cameras are exchanged",
      "raise evals.<name>.views, or set evals.<name>.shuffled=False",
      "evals.<name>.shuffled",
    )


def _sheet(out: Arrays) -> np.ndarray:
  """Input, a view that is seen first, and its rendering with depth."""
  far = out["depth"].max()
  return draw.sheet(
    {
      "input": out["truth"][:, 0],
      "target": out["truth"][:, 1],
      "rendered": out["image"][:, 1],
      "depth": draw.heat(out["depth"][:, 1], 0.0, far),
    }
  )
