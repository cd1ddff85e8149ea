"""RandAugment inside the step: what timm calls `rand-m9-mstd0.5-inc1`.

Two of fifteen operations in a row, drawn with replacement, each carried out
with probability 1/2 at a magnitude ~ N(m, s) clipped to [0, 10]; "increasing":
a greater magnitude is always a stronger change. Arithmetic is Pillow's on whole
levels (each operation ends in 0 ... 255, rounded), with one difference: rotate,
shear and translate interpolate bilinearly, where timm's recipe uses Pillow's
bicubic or a random one. Every operation is computed for every image and one is
kept; per image that is about 1e3 FLOPs a pixel, less than 1 % of a ViT-B step.
"""

import dataclasses

import jax
import jax.numpy as jnp

from jmim.core import randomness
from jmim.data import colour

Images = jax.Array


@dataclasses.dataclass(frozen=True, kw_only=True)
class Spec:
  """What is drawn, and how often.

  Attributes:
    magnitude: mean of the magnitude, in [0, 10].
    std: its standard deviation.
    layers: operations in a row.
    probability: of each.
    fill: level per channel where nothing is shown.
  """

  magnitude: float = 9.0
  std: float = 0.5
  layers: int = 2
  probability: float = 0.5
  fill: tuple[float, ...] = (124.0, 116.0, 104.0)


def _column(x: jax.Array) -> jax.Array:
  return x[:, None, None, None]


def autocontrast(images: Images) -> Images:
  """Stretches each channel to 0 ... 255."""
  low = images.min((1, 2), keepdims=True)
  high = images.max((1, 2), keepdims=True)
  scale = 255.0 / jnp.where(high > low, high - low, 1.0)
  # 1e-3: Pillow computes in double precision before it truncates.
  stretched = jnp.clip(jnp.floor((images - low) * scale + 1e-3), 0, 255)
  return jnp.where(high > low, stretched, images)


def equalize(images: Images) -> Images:
  """Flattens the histogram of each channel."""

  def channel(x):
    levels = x.astype(jnp.int32).ravel()
    counts = jnp.zeros(256, jnp.int32).at[levels].add(1)
    last = 255 - jnp.argmax(counts[::-1] > 0)
    step = (counts.sum() - counts[last]) // 255
    before = jnp.cumsum(counts) - counts + step // 2
    table = jnp.clip(before // jnp.maximum(step, 1), 0, 255)
    return jnp.where(step > 0, table[levels].reshape(x.shape), x)

  channels = jax.vmap(jax.vmap(channel, -1, -1))
  return channels(images).astype(jnp.float32)


def invert(images: Images) -> Images:
  """255 - x."""
  return 255.0 - images


def posterize(images: Images, bits: jax.Array) -> Images:
  """Keeps the highest `bits` [b] of 8; with 0 nothing is left."""
  step = _column(2.0 ** (8 - bits))
  return jnp.floor(images / step) * step


def solarize(images: Images, threshold: jax.Array) -> Images:
  """Inverts the levels at or above `threshold` [b]."""
  return jnp.where(images < _column(threshold), images, 255.0 - images)


def solarize_add(images: Images, add: jax.Array) -> Images:
  """Adds to the levels below 128."""
  brighter = jnp.minimum(255.0, images + _column(add))
  return jnp.where(images < 128, brighter, images)


def sharpness(images: Images, factor: jax.Array) -> Images:
  """0: smoothed by a 3 x 3 kernel, 1: as it is; the rim stays."""
  h, w = images.shape[1:3]
  total = sum(
    (5.0 if (dy, dx) == (1, 1) else 1.0)
    * images[:, dy : h - 2 + dy, dx : w - 2 + dx]
    for dy in range(3)
    for dx in range(3)
  )
  smooth = images.at[:, 1:-1, 1:-1].set(jnp.round(total / 13.0))
  return colour.blend(images, smooth, factor)


def affine(images: Images, matrix: jax.Array, fill: jax.Array) -> Images:
  """Samples at matrix @ (x, y, 1), in pixels from the corner, bilinearly.

  Args:
    images: [b, h, w, c].
    matrix: [b, 2, 3], from places of the result to places of the image.
    fill: [c], shown where that is outside.
  """
  h, w = images.shape[1:3]
  y, x = jnp.meshgrid(jnp.arange(h) + 0.5, jnp.arange(w) + 0.5, indexing="ij")
  place = jnp.stack([x, y, jnp.ones_like(x)])

  def one(image, matrix):
    x, y = jnp.einsum("ij,jhw->ihw", matrix, place)
    inside = (x >= 0) & (x < w) & (y >= 0) & (y < h)
    x, y = jnp.clip(x - 0.5, 0, w - 1), jnp.clip(y - 0.5, 0, h - 1)
    x0, y0 = jnp.floor(x).astype(int), jnp.floor(y).astype(int)
    x1, y1 = jnp.minimum(x0 + 1, w - 1), jnp.minimum(y0 + 1, h - 1)
    u, v = (x - x0)[..., None], (y - y0)[..., None]
    above = (1 - u) * image[y0, x0] + u * image[y0, x1]
    below = (1 - u) * image[y1, x0] + u * image[y1, x1]
    return jnp.where(inside[..., None], (1 - v) * above + v * below, fill)

  return jax.vmap(one)(images, matrix)


def rotation(degrees: jax.Array, h: int, w: int) -> jax.Array:
  """[b, 2, 3]: counter-clockwise about the centre."""
  c, s = jnp.cos(jnp.deg2rad(degrees)), jnp.sin(jnp.deg2rad(degrees))
  # From result to image: the inverse turn, with y downward.
  x = jnp.stack([c, -s, w / 2 - c * w / 2 + s * h / 2], -1)
  y = jnp.stack([s, c, h / 2 - s * w / 2 - c * h / 2], -1)
  return jnp.stack([x, y], 1)


def _move(b: int, **entries: jax.Array) -> jax.Array:
  """[b, 2, 3] of the identity with some entries replaced: xy, yx, x, y."""
  places = {"xy": (0, 1), "yx": (1, 0), "x": (0, 2), "y": (1, 2)}
  matrix = jnp.tile(jnp.eye(2, 3), (b, 1, 1))
  for name, value in entries.items():
    matrix = matrix.at[:, *places[name]].set(value)
  return matrix


OPERATIONS = (
  "autocontrast",
  "equalize",
  "invert",
  "rotate",
  "posterize",
  "solarize",
  "solarize_add",
  "color",
  "contrast",
  "brightness",
  "sharpness",
  "shear_x",
  "shear_y",
  "translate_x",
  "translate_y",
)


def operations(
  images: Images, level: jax.Array, sign: jax.Array, fill: jax.Array
) -> list[Images]:
  """What each of OPERATIONS makes of the images.

  Args:
    images: [b, h, w, c], whole levels.
    level: [b] magnitudes in [0, 10].
    sign: [b] of -1 or 1, for operations with a direction.
    fill: [c].
  """
  b, h, w, _ = images.shape
  share = level / 10
  signed = sign * share
  factor = jnp.maximum(0.1, 1 + 0.9 * signed)
  geometric = (
    rotation(30 * signed, h, w),
    _move(b, xy=0.3 * signed),
    _move(b, yx=0.3 * signed),
    _move(b, x=0.45 * signed * w),
    _move(b, y=0.45 * signed * h),
  )
  moved = [affine(images, matrix, fill) for matrix in geometric]
  made = [
    autocontrast(images),
    equalize(images),
    invert(images),
    moved[0],
    posterize(images, 4 - jnp.floor(4 * share)),
    solarize(images, 256 - jnp.floor(256 * share)),
    solarize_add(images, jnp.minimum(128, jnp.floor(110 * share))),
    colour.saturation(images, factor),
    _contrast(images, factor),
    colour.brightness(images, factor),
    sharpness(images, factor),
    *moved[1:],
  ]
  return [jnp.round(jnp.clip(x, 0, 255)) for x in made]


def _contrast(images: Images, factor: jax.Array) -> Images:
  """Pillow's: towards the mean luma, rounded to a whole level."""
  luma = jnp.round(colour.grey(images)[..., :1])
  mean = jnp.floor(luma.mean((1, 2, 3), keepdims=True) + 0.5)
  return colour.blend(images, jnp.broadcast_to(mean, images.shape), factor)


def randaugment(key: jax.Array, images: Images, spec: Spec) -> Images:
  """Augments [b, h, w, c] (0 ... 255); float32 of whole levels."""
  b = len(images)
  images = jnp.round(images.astype(jnp.float32))
  fill = jnp.asarray(spec.fill)
  keys = randomness.Keys(key)
  for layer in range(spec.layers):
    own = keys.at(layer)
    which = jax.random.randint(own("operation"), (b,), 0, len(OPERATIONS))
    noise = spec.std * jax.random.normal(own("level"), (b,))
    level = jnp.clip(spec.magnitude + noise, 0, 10)
    sign = jax.random.rademacher(own("sign"), (b,), jnp.float32)
    changed = images
    for i, made in enumerate(operations(images, level, sign, fill)):
      changed = jnp.where(_column(which == i), made, changed)
    images = colour.sometimes(own("share"), spec.probability, changed, images)
  return images
