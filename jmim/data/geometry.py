"""Where pixels go: crops, mirrors and turns of images and what goes with them.

Draws come from keys by name; what is drawn for images is applied to their maps
and boxes. Images are [b, h, w, c], uint8 or float32 in 0 ... 255; boxes are
[b, 4] (y, x, height, width) in pixels unless they say otherwise.
"""

import dataclasses
import functools

import jax
import jax.numpy as jnp

from jmim.core import randomness
from jmim.core.settings import data as settings

_TRIES = 10


@dataclasses.dataclass(frozen=True, kw_only=True)
class Move:
  """How each of b images is cropped, then mirrored, then turned.

  Attributes:
    side: (height, width) of the images.
    boxes: [b, 4] what is left of each; None: all of it. With padding they
      reach beyond the image.
    pad: pixels of padding; None: what is left is resized to the whole.
    coin: bool [b], mirrored or not; None: none is.
    turns: [b] quarters of a circle, 0 .. 3, against the clock; None: none is.
  """

  side: tuple[int, int]
  boxes: jax.Array | None = None
  pad: int | None = None
  coin: jax.Array | None = None
  turns: jax.Array | None = None

  def repeat(self, n: int) -> "Move":
    """For b * n images, of which n in a row are moved alike."""
    each = lambda x: None if x is None else jnp.repeat(x, n, axis=0)
    return dataclasses.replace(
      self,
      boxes=each(self.boxes),
      coin=each(self.coin),
      turns=each(self.turns),
    )

  def images(self, images: jax.Array) -> jax.Array:
    """Moves images [b, h, w, c]."""
    if self.boxes is not None and self.pad is not None:
      images = crop_padded(images, self.boxes, self.pad)
    elif self.boxes is not None:
      images = crop_and_resize(images, self.boxes)
    return self._mirrored_and_turned(images)

  def maps(self, maps: jax.Array) -> jax.Array:
    """Moves maps [b, h', w', ...] that show what the images show."""
    if self.boxes is not None:
      maps = crop_maps(maps, self.boxes, self.side)
    return self._mirrored_and_turned(maps)

  def _mirrored_and_turned(self, images: jax.Array) -> jax.Array:
    if self.coin is not None:
      images = flipped(images, self.coin)
    return images if self.turns is None else turned(images, self.turns)

  def view_boxes(self, boxes: jax.Array) -> jax.Array:
    """Mirrors the boxes [b, n, 4] of b * n views that are mirrored apart."""
    if self.coin is None:
      return boxes
    return mirrored(boxes, self.coin.reshape(boxes.shape[:2]))

  def rectangles(self, values: jax.Array, corner: int) -> jax.Array:
    """Moves [b, ..., k] of which x, y, width, height begin at `corner`.

    They are shares of the image.
    """
    each = lambda x: x.reshape(-1, *[1] * (values.ndim - 1))
    place = slice(corner, corner + 4)
    if self.coin is not None:
      right = values[..., corner] + values[..., corner + 2]
      other = values.at[..., corner].set(1 - right)
      values = jnp.where(each(self.coin), other, values)
    if self.turns is None:
      return values
    made = values
    for quarters in (1, 2, 3):
      x, y, wide, high = jnp.moveaxis(made[..., place], -1, 0)
      box = jnp.stack([y, 1 - x - wide, high, wide], -1)
      made = made.at[..., place].set(box)
      values = jnp.where(each(self.turns) == quarters, made, values)
    return values


def draw(
  spec: settings.Data,
  keys: randomness.Keys,
  batch: int,
  side: tuple[int, int],
) -> Move:
  """The crop, the mirror and the turn of images in training.

  Args:
    spec: device_crop and its keys, flip, turn.
    keys: of which "crop", "flip" and "turn" are taken.
    batch: images.
    side: (height, width) of each.
  """
  coin = flip_coin(keys("flip"), batch) if spec.flip else None
  turns = None
  if spec.turn:
    turns = jax.random.randint(keys("turn"), (batch,), 0, 4)
  move = Move(side=side, coin=coin, turns=turns)
  if spec.device_crop == "none":
    return move
  if spec.device_crop == "pad":
    boxes = padded_boxes(keys("crop"), batch, side, spec.pad)
    return dataclasses.replace(move, boxes=boxes, pad=spec.pad)
  boxes = crop_boxes(
    keys("crop"), batch, side=side, scale=spec.crop_scale, ratio=spec.crop_ratio
  )
  return dataclasses.replace(move, boxes=boxes)


def flip_coin(key: jax.Array, batch: int) -> jax.Array:
  """bool [b]: which images are mirrored, each with probability 1/2."""
  return jax.random.bernoulli(key, 0.5, (batch,))


def flipped(images: jax.Array, coin: jax.Array) -> jax.Array:
  """Mirrors those of [b, h, w, ...] whose coin [b] is True."""
  coin = coin.reshape(-1, *[1] * (images.ndim - 1))
  return jnp.where(coin, images[:, :, ::-1], images)


def turned(images: jax.Array, turns: jax.Array) -> jax.Array:
  """Square [b, h, h, ...], each by so many quarters [b], as `numpy.rot90`."""
  turns = turns.reshape(-1, *[1] * (images.ndim - 1))
  half = jnp.where(turns >= 2, images[:, ::-1, ::-1], images)
  quarter = jnp.swapaxes(half, 1, 2)[:, ::-1]
  return jnp.where(turns % 2 == 1, quarter, half)


def padded_boxes(
  key: jax.Array, batch: int, side: tuple[int, int], pad: int
) -> jax.Array:
  """int32 [b, 4] boxes of the image's size, at most `pad` pixels off it."""
  corner = jax.random.randint(key, (batch, 2), -pad, pad + 1)
  whole = jnp.broadcast_to(jnp.asarray(side), (batch, 2))
  return jnp.concatenate([corner, whole], axis=1)


def crop_padded(images: jax.Array, boxes: jax.Array, pad: int) -> jax.Array:
  """Zero-pads by `pad`, then cuts the boxes of `padded_boxes`."""
  padded = jnp.pad(images, ((0, 0), (pad, pad), (pad, pad), (0, 0)))

  def cut(image, box):
    start = (box[0] + pad, box[1] + pad, 0)
    return jax.lax.dynamic_slice(image, start, images.shape[1:])

  return jax.vmap(cut)(padded, boxes)


def crop_boxes(
  key: jax.Array,
  batch: int,
  side: tuple[int, int],
  scale: tuple[float, float],
  ratio: tuple[float, float],
) -> jax.Array:
  """float32 [b, 4] boxes of whole pixels, as torchvision draws them.

  Area uniform in `scale`, aspect log-uniform in `ratio`; the first of ten
  tries that fits the image, else the largest central box with an aspect
  within `ratio`.
  """
  h, w = side
  keys = randomness.Keys(key)
  high, wide = _rectangles(keys, (batch, _TRIES), h * w, scale, ratio=ratio)
  fits = (wide > 0) & (wide <= w) & (high > 0) & (high <= h)
  limited = min(max(w / h, ratio[0]), ratio[1])
  fallback = round(min(h, w / limited)), round(min(w, h * limited))
  high, wide = _first(fits, (high, wide), fallback)
  u = jax.random.uniform(keys("place"), (batch, 2))
  fit = fits.any(axis=1)
  y, x = (
    jnp.where(fit, jnp.floor(u[:, i] * (space + 1)), space // 2)
    for i, space in enumerate((h - high, w - wide))
  )
  return jnp.stack([y, x, high, wide], axis=1)


def erase_boxes(key: jax.Array, batch: int, side: tuple[int, int]) -> jax.Array:
  """float32 [b, 4] boxes of timm's random erasing.

  Area uniform in 0.02 ... 1/3, aspect log-uniform in 0.3 ... 1/0.3; the first
  of ten tries that is smaller than the image, else nothing (zeros).
  """
  h, w = side
  keys = randomness.Keys(key)
  high, wide = _rectangles(
    keys, (batch, _TRIES), h * w, (0.02, 1 / 3), ratio=(0.3, 1 / 0.3)
  )
  # Theirs is height / width: with limits that are inverse, the same numbers.
  high, wide = _first((high < h) & (wide < w), (high, wide), (0, 0))
  u = jax.random.uniform(keys("place"), (batch, 2))
  y = jnp.floor(u[:, 0] * (h - high + 1))
  x = jnp.floor(u[:, 1] * (w - wide + 1))
  return jnp.stack([y, x, high, wide], axis=1)


def _rectangles(keys, shape, pixels, scale, *, ratio):
  """(height, width), whole, of random boxes: sqrt(area / aspect), * aspect.

  Area uniform in `scale` times `pixels`, aspect = width / height log-uniform
  in `ratio`.
  """
  area = pixels * jax.random.uniform(
    keys("area"), shape, minval=scale[0], maxval=scale[1]
  )
  low, high = jnp.log(jnp.asarray(ratio))
  aspect = jnp.exp(
    jax.random.uniform(keys("aspect"), shape, minval=low, maxval=high)
  )
  return jnp.round(jnp.sqrt(area / aspect)), jnp.round(jnp.sqrt(area * aspect))


def _first(fits, sides, fallback):
  """Of each [b, tries]: the value [b] of the first that fits, or a constant."""
  first = jnp.argmax(fits, axis=1)[:, None]
  return tuple(
    jnp.where(fits.any(1), jnp.take_along_axis(x, first, 1)[:, 0], other)
    for x, other in zip(sides, fallback, strict=True)
  )


def crop_and_resize(images: jax.Array, boxes: jax.Array) -> jax.Array:
  """Cuts [b, h, w, c] at [b, 4] boxes and resizes back to h x w.

  Antialiased bicubic (a = -0.5, Pillow's), float32, clipped to the range of
  uint8 as an 8-bit image would be.
  """
  h, w = images.shape[1:3]
  resize = functools.partial(
    jax.image.scale_and_translate,
    shape=images.shape[1:],
    spatial_dims=(0, 1),
    method="cubic",
  )

  def one(image, box):
    scale = jnp.asarray([h, w]) / box[2:]
    return resize(image, scale=scale, translation=-box[:2] * scale)

  return jnp.clip(jax.vmap(one)(images.astype(jnp.float32), boxes), 0, 255)


def crop_maps(
  maps: jax.Array, boxes: jax.Array, side: tuple[int, int]
) -> jax.Array:
  """Cuts [b, h', w', ...] at the boxes of images of `side`; nearest values.

  0 outside, where images are padded with black.
  """

  def places(start, extent, n, full):
    # Centre of each pixel of the result, in pixels of the map.
    share = (start + (jnp.arange(n) + 0.5) / n * extent) / full
    place = jnp.floor(share * n).astype(jnp.int32)
    return jnp.clip(place, 0, n - 1), (place >= 0) & (place < n)

  def one(values, box):
    rows, row_inside = places(box[0], box[2], values.shape[0], side[0])
    columns, column_inside = places(box[1], box[3], values.shape[1], side[1])
    inside = row_inside[:, None] & column_inside
    inside = inside.reshape(*inside.shape, *[1] * (values.ndim - 2))
    return jnp.where(inside, values[rows][:, columns], 0)

  return jax.vmap(one)(maps, boxes)


def mirrored(boxes: jax.Array, coin: jax.Array) -> jax.Array:
  """View boxes [..., 4], in shares, of what is mirrored where coin is True.

  The left edge goes to the right and the width becomes negative.
  """
  top, left, high, wide = jnp.moveaxis(boxes, -1, 0)
  turned = jnp.stack([top, left + wide, high, -wide], -1)
  return jnp.where(coin[..., None], turned, boxes)
