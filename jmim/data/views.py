"""From an example as stored to the arrays of one slot of a batch."""

from typing import Any

import numpy as np

from jmim.core import errors
from jmim.data import decode
from jmim.data import picture
from jmim.data import specs

Arrays = dict[str, np.ndarray]
# Numbers that make an example without any image.
_ALONE = {"points", "tokens", "moments"}


class Maker:
  """Makes what a `Spec` asks for; picklable, and free of state.

  Example features that it reads: "image"; "video", frames [t, h, w, c] or a
  list of encoded ones; "low" and "high", two images of one picture. Numbers
  under other names ("label", "points", "tokens" ...) pass through, as int32 or
  float32.
  """

  def __init__(self, spec: specs.Spec, training: bool):
    """Evaluation takes `eval_crop` where training takes `host_crop`."""
    self._spec, self._training = spec, training
    self._crop = spec.host_crop if training else spec.eval_crop
    self._resize = 0 if training else spec.eval_resize

  def __call__(
    self, example: dict[str, Any], rngs: list[np.random.Generator], name: str
  ) -> list[Arrays]:
    """One dict of arrays per generator, from one reading of the example.

    Args:
      example: as stored.
      rngs: one per slot that holds the example; consumed.
      name: of the example, for messages.

    Returns:
      Per slot what docs/data.md lists, images still uint8.

    Raises:
      BadImage: it cannot be decoded.
      UserError: nothing in it can be used, or it has the wrong size.
    """
    passed = {
      key: _number(value)
      for key, value in example.items()
      if key not in ("image", "video", "low", "high") and _is_number(value)
    }
    spec = self._spec
    if spec.frames:
      made = [
        self._clip(self._feature(example, "video"), r, name) for r in rngs
      ]
    elif "low" in example and "high" in example:
      pictures = [self._open(example[k], True) for k in ("low", "high")]
      made = [{"pair": self._alike(pictures, r, name)} for r in rngs]
    elif "image" in example or not _ALONE & passed.keys():
      made = self._stills(self._feature(example, "image"), rngs, name)
    else:
      made = [{} for _ in rngs]
    return [passed | arrays for arrays in made]

  def _feature(self, example: dict[str, Any], name: str) -> Any:
    if name not in example:
      raise errors.UserError(
        f"examples with {', '.join(example)}",
        f'a feature named "{name}"',
        f"choose a data set of {name}s",
        "data.name",
      )
    return example[name]

  def _open(self, image: Any, whole: bool) -> picture.Picture:
    spec = self._spec
    random = self._crop == "resized" or spec.views or spec.local_views
    decoder = spec.decoder if self._training and random else "pillow"
    return picture.Picture(
      image, spec.channels, decoder=decoder, kernel=spec.kernel, whole=whole
    )

  def _stills(
    self, image: Any, rngs: list[np.random.Generator], name: str
  ) -> list[Arrays]:
    spec = self._spec
    several = len(rngs) + (0 if spec.nested else max(0, spec.views - 1))
    opened = self._open(image, several + spec.local_views > 1)
    made = []
    for rng in rngs:
      arrays = self._views(opened, rng) if spec.views else {}
      if not spec.views or not self._training:  # evaluators look at images
        arrays["image"] = self._alike([opened], rng, name)[0]
      made.append(arrays | self._locals(opened, rng))
    return made

  def _views(self, opened: picture.Picture, rng: np.random.Generator) -> Arrays:
    spec = self._spec
    cuts = [self._random(opened, spec.crop_scale, spec.size, rng)]
    for _ in range(1, spec.views):
      if not spec.nested:
        cuts.append(self._random(opened, spec.crop_scale, spec.size, rng))
        continue
      first = picture.Picture(
        cuts[0][0], spec.channels, spec.decoder, spec.kernel
      )
      view, box = self._random(first, spec.view_scale, spec.size, rng)
      cuts.append((view, _within(box, cuts[0][1])))
    images, boxes = zip(*cuts, strict=True)
    return {"views": np.stack(images), "boxes": np.stack(boxes)}

  def _locals(
    self, opened: picture.Picture, rng: np.random.Generator
  ) -> Arrays:
    spec = self._spec
    if not spec.local_views:
      return {}
    cuts = [
      self._random(opened, spec.local_scale, spec.local_size, rng)
      for _ in range(spec.local_views)
    ]
    images, boxes = zip(*cuts, strict=True)
    return {"locals": np.stack(images), "local_boxes": np.stack(boxes)}

  def _random(
    self,
    opened: picture.Picture,
    scale: tuple[float, float],
    size: int,
    rng: np.random.Generator,
  ) -> tuple[np.ndarray, np.ndarray]:
    """A random view, and its box as shares of the image, float32 [4]."""
    box = decode.crop_box(*opened.size, scale, self._spec.crop_ratio, rng)
    view, shown = opened.cut(box, size)
    return view, (np.array(shown) / np.tile(opened.size, 2)).astype("f4")

  def _alike(
    self,
    opened: list[picture.Picture],
    rng: np.random.Generator,
    name: str,
  ) -> np.ndarray:
    """The same crop of pictures of the same scene: uint8 [n, s, s, c]."""
    spec = self._spec
    size = spec.size
    if self._crop in ("center", "none"):
      cut = [
        decode.plain(
          p.pixels,
          size,
          crop=self._crop,
          resize_to=self._resize,
          name=name,
          key="data.host_crop" if self._training else "data.eval_crop",
        )
        for p in opened
      ]
    else:
      # Shares of the first, so that a small picture is cut like a large one.
      first = opened[0].size
      box = decode.crop_box(*first, spec.crop_scale, spec.crop_ratio, rng)
      cut = [p.cut(_scaled(box, first, p.size), size)[0] for p in opened]
    return np.stack(cut)

  def _clip(self, video: Any, rng: np.random.Generator, name: str) -> Arrays:
    spec = self._spec
    span = (spec.frames - 1) * spec.stride + 1
    room = max(0, len(video) - span)
    start = int(rng.integers(room + 1)) if self._training else room // 2
    # A clip longer than the video holds its last frame.
    chosen = start + np.arange(spec.frames) * spec.stride
    chosen = np.minimum(chosen, len(video) - 1)
    opened = [self._open(video[i], True) for i in chosen.tolist()]
    return {"video": self._alike(opened, rng, name)}


def _within(box: np.ndarray, outer: np.ndarray) -> np.ndarray:
  """A box in shares of `outer`, as shares of what `outer` refers to."""
  corner = outer[:2] + box[:2] * outer[2:]
  return np.concatenate([corner, box[2:] * outer[2:]]).astype("f4")


def _scaled(
  box: picture.Box, size: tuple[int, int], other: tuple[int, int]
) -> picture.Box:
  """The same place in a picture of another size."""
  if size == other:
    return box
  factor = np.tile(np.divide(other, size), 2)
  top, left, height, width = (
    np.rint(np.array(box) * factor).astype(int).tolist()
  )
  height, width = max(1, height), max(1, width)
  return min(top, other[0] - height), min(left, other[1] - width), height, width


def _is_number(value: Any) -> bool:
  return np.asarray(value).dtype.kind in "biuf"


def _number(value: Any) -> np.ndarray:
  value = np.asarray(value)
  return value.astype(np.float32 if value.dtype.kind == "f" else np.int32)
