"""From an example as stored to the arrays of one slot of a batch."""

import functools
from typing import Any

import numpy as np

from jmim.core import errors
from jmim.data import boxes
from jmim.data import decode
from jmim.data import entries
from jmim.data import maps
from jmim.data import numbers
from jmim.data import own_size
from jmim.data import picture
from jmim.data import plain
from jmim.data import specs
from jmim.data import texts
from jmim.data import volumes

Arrays = dict[str, np.ndarray]


class Maker:
  """Makes what a `Spec` asks for; picklable, and free of state.

  Stored pictures that it reads: "image"; "video", frames [t, h, w, c] or a
  list of encoded ones; "volume", [d, h, w]; "low" and "high", two images of
  one picture; see `entries`; and those of `data.pictures`. Numbers under other
  names ("label", "points", "tokens" ...) pass through, as int32 or float32;
  maps are cut with their image.
  """

  def __init__(self, spec: specs.Spec, training: bool):
    """Evaluation takes `eval_crop` where training takes `host_crop`."""
    self._spec, self._training = spec, training
    self._crop = spec.host_crop if training else spec.eval_crop
    self._resize = 0 if training else spec.eval_resize
    self._named = entries.named(spec)
    made, reads = entries.made(spec), [name for name, _ in spec.reads]
    self._told = [name for name in made if name in reads or not reads]

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
    stored = numbers.of(example, self._named)
    stored |= own_size.of(example, self._spec, name)
    if self._spec.volume:
      made = [self._volume(example, stored, rng, name=name) for rng in rngs]
    elif self._spec.frames:
      video = self._feature(example, "video")
      made = [self._clip(video, rng, name) for rng in rngs]
    else:
      made = self._images(example, stored, rngs, name=name)
    if self._told:
      for arrays, rng in zip(made, rngs, strict=True):
        draws = rng if self._training else None  # of several texts, last of all
        arrays |= self._texts.of(example, self._told, draws)
    return [stored | arrays for arrays in made]

  @functools.cached_property
  def _texts(self) -> texts.Texts:
    """What makes tokens; once, not for each example."""
    return texts.of(self._spec)

  def __getstate__(self) -> dict[str, Any]:
    # Another process opens the tokenizer itself.
    return {n: x for n, x in vars(self).items() if n != "_texts"}

  def _images(
    self,
    example: dict[str, Any],
    stored: Arrays,
    rngs: list[np.random.Generator],
    *,
    name: str,
  ) -> list[Arrays]:
    """What is made of stored pictures, and the maps that go with them."""
    pictures = self._pictures(example)
    made: list[Arrays] = [{} for _ in rngs]
    others = pictures or stored.keys() - {"label"} or self._spec.tokenizer
    if "image" in example or not others:
      image = self._feature(example, "image")
      made = self._stills(image, stored, rngs, name=name)
    for arrays, rng in zip(made, rngs, strict=True):
      for key, opened in pictures.items():
        cut, _ = self._cut(opened, rng, name)
        arrays[key] = cut if entries.of(key).several else cut[0]
    return made

  def _volume(
    self,
    example: dict[str, Any],
    stored: Arrays,
    rng: np.random.Generator,
    *,
    name: str,
  ) -> Arrays:
    rng = rng if self._training else None
    return volumes.of(example, stored, self._spec, rng=rng, name=name)

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
      image,
      spec.channels,
      decoder=decoder,
      kernel=spec.kernel,
      whole=whole,
      max_pixels=spec.max_pixels,
    )

  def _pictures(self, example: dict[str, Any]) -> dict[str, list]:
    """Entry -> its stored pictures; not of `image` and `video`."""
    return {
      key: [self._open(example[f], True) for f in entry.features]
      for key, entry in entries.PICTURES.items()
      if all(f in example and f not in self._named for f in entry.features)
    }

  def _makes(self, name: str) -> bool:
    """Whether the settings ask for an entry."""
    entry = entries.of(name)
    again = entry.evaluated and not self._training
    return again or entry.shape(self._spec) is not None

  def _stills(
    self,
    image: Any,
    stored: Arrays,
    rngs: list[np.random.Generator],
    *,
    name: str,
  ) -> list[Arrays]:
    spec = self._spec
    several = len(rngs) + (0 if spec.nested else max(0, spec.views - 1))
    whole = self._open(image, several + spec.local_views > 1)
    opened = whole.part(spec.box, name) if spec.box else whole
    made = []
    for rng in rngs:
      arrays = self._views(opened, rng) if self._makes("views") else {}
      if self._makes("image"):
        images, box = self._cut([opened], rng, name)
        arrays["image"] = images[0]
        arrays |= self._maps(stored, whole.size, self._of_whole(box, whole))
      if self._makes("locals"):
        arrays |= self._locals(opened, rng)
      made.append(arrays)
    return made

  def _of_whole(
    self, box: maps.Box | None, whole: picture.Picture
  ) -> maps.Box | None:
    """A box of what data.box leaves, as shares of all that is stored."""
    if not self._spec.box:
      return box
    part = boxes.shares(self._spec.box, whole.size)
    inside = np.array((0.0, 0.0, 1.0, 1.0) if box is None else box)
    return tuple(boxes.within(inside, part).tolist())

  def _maps(
    self, stored: Arrays, size: tuple[int, int], box: maps.Box | None
  ) -> Arrays:
    """The maps that show an image of a size, cut as the image was."""
    if box is None:
      return {}
    return {
      key: maps.cut(stored[key], box, self._spec.sides)
      for key in entries.among(stored, entries.MAP)
      if entries.fits(stored[key].shape, *size)
    }

  def _views(self, opened: picture.Picture, rng: np.random.Generator) -> Arrays:
    spec = self._spec
    cuts = [self._random(opened, spec.crop_scale, spec.sides, rng)]
    for _ in range(1, spec.views):
      if not spec.nested:
        cuts.append(self._random(opened, spec.crop_scale, spec.sides, rng))
        continue
      first = picture.Picture(
        cuts[0][0], spec.channels, spec.decoder, spec.kernel
      )
      view, box = self._random(first, spec.view_scale, spec.sides, rng)
      cuts.append((view, boxes.within(box, cuts[0][1])))
    images, shown = zip(*cuts, strict=True)
    return {"views": np.stack(images), "boxes": np.stack(shown)}

  def _locals(
    self, opened: picture.Picture, rng: np.random.Generator
  ) -> Arrays:
    spec = self._spec
    cuts = [
      self._random(opened, spec.local_scale, spec.local_size, rng)
      for _ in range(spec.local_views)
    ]
    images, shown = zip(*cuts, strict=True)
    return {"locals": np.stack(images), "local_boxes": np.stack(shown)}

  def _random(
    self,
    opened: picture.Picture,
    scale: tuple[float, float],
    size: int | decode.Sides,
    rng: np.random.Generator,
  ) -> tuple[np.ndarray, np.ndarray]:
    """A random view, and its box as shares of the image, float32 [4]."""
    box = decode.crop_box(*opened.size, scale, self._spec.crop_ratio, rng)
    view, shown = opened.cut(box, size)
    return view, boxes.shares(shown, opened.size).astype("f4")

  def _cut(
    self,
    opened: list[picture.Picture],
    rng: np.random.Generator,
    name: str,
  ) -> tuple[np.ndarray, maps.Box | None]:
    """The same crop of pictures of the same scene.

    Returns:
      uint8 [n, h, w, c]; and the box that the first one shows, None: all of
      it, at its own size.
    """
    spec = self._spec
    sides, first = spec.sides, opened[0].size
    if self._crop in ("center", "none", "squash"):
      cut = functools.partial(
        plain.cut,
        crop=self._crop,
        resize_to=self._resize,
        name=name,
        key="data.host_crop" if self._training else "data.eval_crop",
        kernel=spec.kernel,
      )
      shown = np.stack([cut(p.pixels, sides) for p in opened])
      if self._crop == "none":
        return shown, None
      if self._crop == "squash":  # the picture has its proportion by then
        first = decode.enlarged(sides, self._resize)
      return shown, maps.central(*first, sides, self._resize)
    # Shares of the first, so that a small picture is cut like a large one.
    box = decode.crop_box(*first, spec.crop_scale, spec.crop_ratio, rng)
    cut = [p.cut(boxes.scaled(box, first, p.size), sides) for p in opened]
    shown = boxes.shares(cut[0][1], first)
    return np.stack([pixels for pixels, _ in cut]), tuple(shown.tolist())

  def _clip(self, video: Any, rng: np.random.Generator, name: str) -> Arrays:
    spec = self._spec
    span = (spec.frames - 1) * spec.stride + 1
    last = max(0, len(video) - span)  # frame at which a clip may start
    start = int(rng.integers(last + 1)) if self._training else last // 2
    # A clip longer than the video holds its last frame.
    chosen = start + np.arange(spec.frames) * spec.stride
    chosen = np.minimum(chosen, len(video) - 1)
    opened = [self._open(video[i], True) for i in chosen.tolist()]
    return {"video": self._cut(opened, rng, name)[0]}
