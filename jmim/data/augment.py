"""What happens to a batch on the device: crop, flip, normalise.

uint8 travels to the device; these pure functions run inside the jitted step.
Their draws come from a key and the position in the global batch, so they do
not depend on the number of devices or hosts.
"""

import dataclasses
import functools

import jax
import jax.numpy as jnp


@dataclasses.dataclass(frozen=True)
class Spec:
  """On-device augmentation; the keys of `config.data` of the same names."""

  device_crop: str = "none"
  pad: int = 4
  crop_scale: tuple[float, float] = (0.2, 1.0)
  crop_ratio: tuple[float, float] = (0.75, 4 / 3)
  flip: bool = True
  mean: tuple[float, ...] = (0.0,)
  std: tuple[float, ...] = (1.0,)


def flip(key: jax.Array, images: jax.Array) -> jax.Array:
  """Mirrors each of [b, h, w, c] left-right with probability 1/2."""
  coin = jax.random.bernoulli(key, 0.5, (len(images), 1, 1, 1))
  return jnp.where(coin, images[:, :, ::-1], images)


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
  k_area, k_ratio, k_place = jax.random.split(key, 3)
  area = (
    h
    * w
    * jax.random.uniform(
      k_area, (batch, tries), minval=scale[0], maxval=scale[1]
    )
  )
  log = jnp.log(jnp.asarray(ratio))
  aspect = jnp.exp(
    jax.random.uniform(k_ratio, (batch, tries), minval=log[0], maxval=log[1])
  )
  wide = jnp.round(jnp.sqrt(area * aspect))
  high = jnp.round(jnp.sqrt(area / aspect))
  fits = (wide > 0) & (wide <= w) & (high > 0) & (high <= h)
  first = jnp.argmax(fits, axis=1)[:, None]
  pick = lambda x: jnp.take_along_axis(x, first, 1)[:, 0]  # noqa: E731
  limited = min(max(w / h, ratio[0]), ratio[1])
  fall_w = round(min(w, h * limited))
  fall_h = round(min(h, w / limited))
  found = fits.any(axis=1)
  wide = jnp.where(found, pick(wide), fall_w)
  high = jnp.where(found, pick(high), fall_h)
  u = jax.random.uniform(k_place, (batch, 2))
  y = jnp.where(found, jnp.floor(u[:, 0] * (h - high + 1)), (h - fall_h) // 2)
  x = jnp.where(found, jnp.floor(u[:, 1] * (w - wide + 1)), (w - fall_w) // 2)
  return jnp.stack([y, x, high, wide], axis=1)


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


def train(spec: Spec, key: jax.Array, batch: dict) -> dict:
  """Augments and normalises batch["image"]; other entries pass through."""
  if "image" not in batch:
    return batch
  images = batch["image"]
  k_crop, k_flip = jax.random.split(key)
  if spec.device_crop == "pad":
    images = pad_and_crop(k_crop, images, spec.pad)
  elif spec.device_crop == "resized":
    boxes = crop_boxes(
      k_crop, len(images), images.shape[1:3], spec.crop_scale, spec.crop_ratio
    )
    images = crop_and_resize(images, boxes)
  if spec.flip:
    images = flip(k_flip, images)
  return {**batch, "image": normalise(spec, images)}


def evaluate(spec: Spec, batch: dict) -> dict:
  """Normalises batch["image"] and nothing else."""
  if "image" not in batch:
    return batch
  return {**batch, "image": normalise(spec, batch["image"])}
