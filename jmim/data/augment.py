"""What happens to a batch on the device: crop, colour, flip, normalise, erase.

uint8 travels to the device; these pure functions run inside the jitted step.
Their draws come from a key and the position in the global batch, so they do
not depend on the number of devices or hosts.
"""

import dataclasses
import functools

import einops
import jax
import jax.numpy as jnp

from jmim.data import colour
from jmim.data import randaugment

# Entries of a batch that hold pixels, and the boxes that go with them.
PIXELS = {
  "image": None,
  "views": "boxes",
  "locals": "local_boxes",
  "video": None,
  "pair": None,
}
# Of these each image is changed in its own way; of the others, all alike.
_APART = ("views", "locals")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Spec:
  """On-device augmentation; the keys of `config.data` of the same names."""

  device_crop: str = "none"
  pad: int = 4
  crop_scale: tuple[float, float] = (0.2, 1.0)
  crop_ratio: tuple[float, float] = (0.75, 4 / 3)
  flip: bool = True
  jitter: tuple[float, ...] = (0.0, 0.0, 0.0, 0.0)
  jitter_share: float = 0.8
  grey_share: float = 0.0
  blur_share: float = 0.0
  blur_sigma: tuple[float, float] = (0.1, 2.0)
  randaugment: float = 0.0
  erase_share: float = 0.0
  mean: tuple[float, ...] = (0.0,)
  std: tuple[float, ...] = (1.0,)


def flip(key: jax.Array, images: jax.Array) -> jax.Array:
  """Mirrors each of [b, h, w, c] left-right with probability 1/2."""
  return flipped(images, flip_coin(key, len(images)))


def flip_coin(key: jax.Array, batch: int) -> jax.Array:
  """bool [b]: which images are mirrored."""
  return jax.random.bernoulli(key, 0.5, (batch, 1, 1, 1))[:, 0, 0, 0]


def flipped(images: jax.Array, coin: jax.Array) -> jax.Array:
  """Mirrors those of [b, h, w, c] whose coin [b] is True."""
  return jnp.where(coin[:, None, None, None], images[:, :, ::-1], images)


def pad_and_crop(key: jax.Array, images: jax.Array, pad: int) -> jax.Array:
  """Zero-pads [b, h, w, c] by `pad` and crops h x w at a random place."""
  b, h, w, c = images.shape
  corner = jax.random.randint(key, (b, 2), 0, 2 * pad + 1)
  padded = jnp.pad(images, ((0, 0), (pad, pad), (pad, pad), (0, 0)))

  def cut(image, yx):
    return jax.lax.dynamic_slice(image, (yx[0], yx[1], 0), (h, w, c))

  return jax.vmap(cut)(padded, corner)


def crop_boxes(
  key: jax.Array,
  batch: int,
  side: tuple[int, int],
  scale: tuple[float, float],
  ratio: tuple[float, float],
  tries: int = 10,
) -> jax.Array:
  """[b, 4] boxes (y, x, height, width) in pixels, as torchvision draws them.

  Area uniform in `scale`, aspect log-uniform in `ratio`; the first of ten
  tries that fits the image, else the largest central box with an aspect
  within `ratio`.
  """
  h, w = side
  k_area, k_aspect, k_place = jax.random.split(key, 3)
  wide, high = _rectangles(
    (k_area, k_aspect), (batch, tries), pixels=h * w, scale=scale, ratio=ratio
  )
  fits = (wide > 0) & (wide <= w) & (high > 0) & (high <= h)
  limited = min(max(w / h, ratio[0]), ratio[1])
  fallback = round(min(h, w / limited)), round(min(w, h * limited))
  high, wide = _first(fits, (high, wide), fallback)
  u = jax.random.uniform(k_place, (batch, 2))
  found = fits.any(axis=1)
  y, x = (
    jnp.where(found, jnp.floor(u[:, i] * (space + 1)), space // 2)
    for i, space in enumerate((h - high, w - wide))
  )
  return jnp.stack([y, x, high, wide], axis=1)


def _rectangles(keys, shape, pixels, scale, ratio):
  """Sides sqrt(area aspect), sqrt(area / aspect), whole, of random boxes.

  Area uniform in `scale` times `pixels`, aspect log-uniform in `ratio`.
  """
  area = jax.random.uniform(keys[0], shape, minval=scale[0], maxval=scale[1])
  low, high = jnp.log(jnp.asarray(ratio))
  aspect = jnp.exp(jax.random.uniform(keys[1], shape, minval=low, maxval=high))
  area = pixels * area
  return jnp.round(jnp.sqrt(area * aspect)), jnp.round(jnp.sqrt(area / aspect))


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


def normalise(spec: Spec, images: jax.Array) -> jax.Array:
  """Maps [0, 255] to ([0, 1] - mean) / std, float32."""
  x = images.astype(jnp.float32) / 255.0
  return (x - jnp.asarray(spec.mean)) / jnp.asarray(spec.std)


def denormalise(spec: Spec, images: jax.Array) -> jax.Array:
  """Inverse of `normalise`: uint8 pixels, rounded and clipped."""
  x = images * jnp.asarray(spec.std) + jnp.asarray(spec.mean)
  return jnp.clip(jnp.round(x * 255.0), 0, 255).astype(jnp.uint8)


def erase_boxes(
  key: jax.Array, batch: int, side: tuple[int, int], tries: int = 10
) -> jax.Array:
  """[b, 4] boxes (y, x, height, width) of timm's random erasing.

  Area uniform in 0.02 ... 1/3, aspect log-uniform in 0.3 ... 1/0.3; the first
  of ten tries that is smaller than the image, else nothing (zeros).
  """
  h, w = side
  k_area, k_aspect, k_place = jax.random.split(key, 3)
  limits = (0.02, 1 / 3), (0.3, 1 / 0.3)
  high, wide = _rectangles((k_area, k_aspect), (batch, tries), h * w, *limits)
  high, wide = _first((high < h) & (wide < w), (high, wide), (0, 0))
  u = jax.random.uniform(k_place, (batch, 2))
  y = jnp.floor(u[:, 0] * (h - high + 1))
  x = jnp.floor(u[:, 1] * (w - wide + 1))
  return jnp.stack([y, x, high, wide], axis=1)


def erase(images: jax.Array, boxes: jax.Array, noise: jax.Array) -> jax.Array:
  """Puts noise [b, h, w, c] into boxes [b, 4] of normalised images."""
  y = jnp.arange(images.shape[1])[:, None, None]
  x = jnp.arange(images.shape[2])[None, :, None]
  top, left, high, wide = (v[:, None, None, None] for v in boxes.T)
  inside = (y >= top) & (y < top + high) & (x >= left) & (x < left + wide)
  return jnp.where(inside, noise, images)


def recolour(spec: Spec, key: jax.Array, images: jax.Array) -> jax.Array:
  """Jitter, grey, blur and RandAugment of [b, h, w, c], 0 ... 255."""
  keys = jax.random.split(key, 8)
  if any(spec.jitter):
    changed = colour.jitter(keys[0], images.astype("f4"), spec.jitter)
    images = colour.sometimes(keys[1], spec.jitter_share, changed, images)
  if spec.grey_share:
    changed = colour.grey(images.astype("f4"))
    images = colour.sometimes(keys[2], spec.grey_share, changed, images)
  if spec.blur_share:
    low, high = spec.blur_sigma
    sigma = jax.random.uniform(keys[3], (len(images),), minval=low, maxval=high)
    # A tenth of the side, as SimCLR has it.
    radius = max(1, images.shape[1] // 20)
    changed = colour.blur(images.astype("f4"), sigma, radius)
    images = colour.sometimes(keys[4], spec.blur_share, changed, images)
  if spec.randaugment:
    fill = tuple(min(255.0, float(round(255 * m))) for m in spec.mean)
    recipe = randaugment.Spec(magnitude=spec.randaugment, fill=fill)
    images = randaugment.randaugment(keys[5], images, recipe)
  return images


def train(spec: Spec, key: jax.Array, batch: dict) -> dict:
  """Augments and normalises what holds pixels; the rest passes through."""
  found = {}
  for i, name in enumerate(n for n in PIXELS if n in batch):
    own = jax.random.fold_in(key, i) if i else key
    boxes = batch.get(PIXELS[name])
    found[name], boxes = _train_one(
      spec, own, images=batch[name], boxes=boxes, name=name
    )
    if boxes is not None:
      found[PIXELS[name]] = boxes
  return {**batch, **found} if found else batch


def _train_one(spec, key, images, boxes, name):
  """Of [b, h, w, c], or [b, n, h, w, c] with boxes [b, n, 4] or None."""
  k_crop, k_flip = jax.random.split(key)
  k_colour, k_erase = jax.random.split(jax.random.fold_in(key, 1))
  shape = images.shape
  if name in _APART:
    images = images.reshape(-1, *shape[2:])
  elif images.ndim == 5:
    # Alike: the images of an example become the channels of one.
    images = _side_by_side(images)
  images = _cropped(spec, k_crop, images)
  if spec.flip:
    coin = flip_coin(k_flip, len(images))
    images = flipped(images, coin)
    if boxes is not None:
      boxes = mirrored(boxes, coin.reshape(boxes.shape[:2]))
  if len(shape) == 5 and name not in _APART:
    images = _apart(images, shape)
  else:
    images = recolour(spec, k_colour, images)
  images = normalise(spec, images)
  if spec.erase_share and name not in ("video", "pair"):
    k_box, k_noise, k_coin = jax.random.split(k_erase, 3)
    where = erase_boxes(k_box, len(images), images.shape[1:3])
    noise = jax.random.normal(k_noise, images.shape)
    changed = erase(images, where, noise)
    images = colour.sometimes(k_coin, spec.erase_share, changed, images)
  return images.reshape(shape), boxes


def _cropped(spec: Spec, key: jax.Array, images: jax.Array) -> jax.Array:
  if spec.device_crop == "pad":
    return pad_and_crop(key, images, spec.pad)
  if spec.device_crop == "resized":
    boxes = crop_boxes(
      key,
      len(images),
      side=images.shape[1:3],
      scale=spec.crop_scale,
      ratio=spec.crop_ratio,
    )
    return crop_and_resize(images, boxes)
  return images


def _side_by_side(images: jax.Array) -> jax.Array:
  return einops.rearrange(images, "b n h w c -> b h w (n c)")


def _apart(images: jax.Array, shape: tuple[int, ...]) -> jax.Array:
  return einops.rearrange(images, "b h w (n c) -> b n h w c", n=shape[1])


def mirrored(boxes: jax.Array, coin: jax.Array) -> jax.Array:
  """Boxes [..., 4] of views that are mirrored where coin [...] is True.

  The left edge goes to the right and the width becomes negative.
  """
  top, left, high, wide = jnp.moveaxis(boxes, -1, 0)
  turned = jnp.stack([top, left + wide, high, -wide], -1)
  return jnp.where(coin[..., None], turned, boxes)


def evaluate(spec: Spec, batch: dict) -> dict:
  """Normalises what holds pixels and nothing else."""
  pixels = {n: normalise(spec, batch[n]) for n in PIXELS if n in batch}
  return {**batch, **pixels} if pixels else batch
