"""What happens to a batch on the device: crop, flip, colour, normalise, erase.

uint8 travels to the device; these pure functions run inside the jitted step.
Their draws come from a key, by name, and from the position in the global
batch, so they do not depend on the number of devices or hosts.
"""

import jax
import jax.numpy as jnp

from jmim.core import randomness
from jmim.core.settings import data as settings
from jmim.data import clouds
from jmim.data import colour
from jmim.data import entries
from jmim.data import geometry
from jmim.data import randaugment
from jmim.data import volumes

Batch = dict[str, jax.Array]


def augment_batch(spec: settings.Data, key: jax.Array, batch: Batch) -> Batch:
  """A training batch: pixels changed and normalised, and what goes with them.

  Args:
    spec: which changes; `entries` says what is done to which entry.
    key: of all draws.
    batch: as it travels. Maps and rectangles are moved with their image, and
      stay as they are in a batch without it; members of a group are changed
      one by one.

  Returns:
    The batch, its pixels float32.
  """
  if not spec.group:
    return _augmented(spec, key, batch)
  kinds = (
    entries.MAP,
    entries.VIEW_BOXES,
    entries.RECTANGLES,
    entries.POINTS,
  )
  apart = entries.among(batch, entries.PIXELS, *kinds, data=spec)
  flat = {k: batch[k].reshape(-1, *batch[k].shape[2:]) for k in apart}
  done = _augmented(spec, key, flat)
  together = {
    k: x.reshape(-1, spec.members, *x.shape[1:]) for k, x in done.items()
  }
  return {**batch, **together}


def _augmented(spec: settings.Data, key: jax.Array, batch: Batch) -> Batch:
  """`augment_batch` of examples that are no groups."""
  keys = randomness.Keys(key)
  changed: Batch = {}
  for name, entry in entries.among(batch, entries.PIXELS, data=spec).items():
    if entry.still:
      changed[name] = normalise(spec, batch[name])
      continue
    own = randomness.Keys(keys(name))
    stored = batch[name]  # [b, h, w, c] or [b, n, h, w, c]
    images = stored.reshape(-1, *stored.shape[-3:])
    alike = stored.shape[1] if entry.several == entries.ALIKE else 1
    move = geometry.draw(spec, own, len(images) // alike, images.shape[1:3])
    images = move.repeat(alike).images(images)
    if entry.several != entries.ALIKE:
      images = recolour(spec, own, images)
    images = normalise(spec, images)
    if entry.several != entries.ALIKE:
      images = erase_some(spec, own, images)
    changed[name] = images.reshape(stored.shape)
    for other, going in entries.going_with(name, batch).items():
      changed[other] = _moved(move, going, batch[other])
  changed |= volumes.augmented(spec, keys, batch)
  for name in entries.among(batch, entries.POINTS, data=spec):
    own = randomness.Keys(keys(name))
    changed[name] = clouds.augmented(spec, own, batch[name])
  return {**batch, **changed} if changed else batch


def prepare_batch(spec: settings.Data, batch: Batch) -> Batch:
  """A batch for evaluation: pixels and points normalised, nothing else."""
  pixels = entries.among(batch, entries.PIXELS, data=spec)
  normal = {name: normalise(spec, batch[name]) for name in pixels}
  normal |= volumes.prepared(spec, batch)
  for name in entries.among(batch, entries.POINTS, data=spec):
    normal[name] = clouds.prepared(spec, batch[name])
  return {**batch, **normal} if normal else batch


def _moved(
  move: geometry.Move, entry: entries.Entry, values: jax.Array
) -> jax.Array:
  """What goes with images, moved with them."""
  if entry.kind == entries.VIEW_BOXES:
    return move.view_boxes(values)
  if entry.kind == entries.RECTANGLES:
    return move.rectangles(values, entry.corner)
  if entries.fits(values.shape[1:], *move.side):
    return move.maps(values)
  return values


def normalise(spec: settings.Data, images: jax.Array) -> jax.Array:
  """Maps [0, 255] to ([0, 1] - mean) / std, float32; channels come last."""
  x = images.astype(jnp.float32) / 255.0
  return (x - jnp.asarray(spec.mean)) / jnp.asarray(spec.std)


def denormalise(spec: settings.Data, images: jax.Array) -> jax.Array:
  """Inverse of `normalise`: uint8 pixels, rounded and clipped.

  Where the data are volumes, of volumes [b, d, h, w].
  """
  if spec.volume:
    return volumes.denormalise(spec, images)
  x = images * jnp.asarray(spec.std) + jnp.asarray(spec.mean)
  return jnp.clip(jnp.round(x * 255.0), 0, 255).astype(jnp.uint8)


def recolour(
  spec: settings.Data, keys: randomness.Keys, images: jax.Array
) -> jax.Array:
  """Jitter, grey, blur and RandAugment of [b, h, w, c], 0 ... 255."""
  if any(spec.jitter):
    changed = colour.jitter(keys("jitter"), images.astype("f4"), spec.jitter)
    images = colour.sometimes(
      keys("share of jitter"), spec.jitter_share, changed, images
    )
  if spec.grey_share:
    changed = colour.grey(images.astype("f4"))
    images = colour.sometimes(
      keys("share of grey"), spec.grey_share, changed, images
    )
  if spec.blur_share:
    low, high = spec.blur_sigma
    sigma = jax.random.uniform(
      keys("blur"), (len(images),), minval=low, maxval=high
    )
    # A tenth of the side, as SimCLR has it.
    radius = max(1, images.shape[1] // 20)
    changed = colour.blur(images.astype("f4"), sigma, radius)
    images = colour.sometimes(
      keys("share of blur"), spec.blur_share, changed, images
    )
  if spec.randaugment:
    fill = tuple(min(255.0, float(round(255 * m))) for m in spec.mean)
    recipe = randaugment.Spec(magnitude=spec.randaugment, fill=fill)
    images = randaugment.randaugment(keys("randaugment"), images, recipe)
  return images


def erase_some(
  spec: settings.Data, keys: randomness.Keys, images: jax.Array
) -> jax.Array:
  """Random erasing (pixel mode) of a share of normalised [b, h, w, c]."""
  if not spec.erase_share:
    return images
  boxes = geometry.erase_boxes(
    keys("erased box"), len(images), images.shape[1:3]
  )
  noise = jax.random.normal(keys("erasing noise"), images.shape)
  changed = erase(images, boxes, noise)
  return colour.sometimes(
    keys("share of erased"), spec.erase_share, changed, images
  )


def erase(images: jax.Array, boxes: jax.Array, noise: jax.Array) -> jax.Array:
  """Puts noise [b, h, w, c] into boxes [b, 4] (y, x, height, width)."""
  y = jnp.arange(images.shape[1])[:, None, None]
  x = jnp.arange(images.shape[2])[None, :, None]
  top, left, high, wide = (v[:, None, None, None] for v in boxes.T)
  inside = (y >= top) & (y < top + high) & (x >= left) & (x < left + wide)
  return jnp.where(inside, noise, images)
