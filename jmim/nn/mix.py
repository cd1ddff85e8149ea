"""Mixup and cutmix of a batch with its reverse (timm's batch mode).

Pure functions of their random choices; MAE fine-tuning draws, per batch,
lam ~ Beta(a, a) and one of the two.
"""

import jax
import jax.numpy as jnp


def mixup(images: jax.Array, lam: jax.Array) -> jax.Array:
  """lam x + (1 - lam) reversed x, for [b, h, w, c]."""
  return lam * images + (1 - lam) * images[::-1]


def cutmix_box(
  lam: jax.Array, centre: jax.Array, side: tuple[int, int]
) -> tuple[jax.Array, jax.Array]:
  """The pasted box and the share that stays.

  Args:
    lam: scalar; the box has relative sides sqrt(1 - lam).
    centre: [2] (y, x) in pixels, uniform over the image.
    side: (h, w) of the image.

  Returns:
    [4] int32 box (y0, y1, x0, x1), clipped to the image; and lam recomputed
    as 1 - box area / image area.
  """
  size = jnp.asarray(side)
  half = (size * jnp.sqrt(1.0 - lam)).astype(jnp.int32) // 2
  low = jnp.clip(centre - half, 0, size)
  high = jnp.clip(centre + half, 0, size)
  box = jnp.stack([low[0], high[0], low[1], high[1]])
  return box, kept_share(box, side)


def kept_share(box: jax.Array, side: tuple[int, int]) -> jax.Array:
  """1 - area of a box (y0, y1, x0, x1) / area of the image."""
  return 1.0 - (box[1] - box[0]) * (box[3] - box[2]) / (side[0] * side[1])


def cutmix(images: jax.Array, box: jax.Array) -> jax.Array:
  """Pastes the box (y0, y1, x0, x1) of the reversed batch [b, h, w, c]."""
  y = jnp.arange(images.shape[1])[:, None, None]
  x = jnp.arange(images.shape[2])[None, :, None]
  inside = (y >= box[0]) & (y < box[1]) & (x >= box[2]) & (x < box[3])
  return jnp.where(inside, images[::-1], images)


def soft_targets(
  labels: jax.Array, lam: jax.Array, classes: int, smoothing: float
) -> jax.Array:
  """[b, classes] lam onehot(y) + (1 - lam) onehot(reversed y).

  onehot is smoothed: s / C off, 1 - s + s / C on.
  """
  off = smoothing / classes
  hot = jax.nn.one_hot(labels, classes) * (1.0 - smoothing) + off
  return lam * hot + (1 - lam) * hot[::-1]
