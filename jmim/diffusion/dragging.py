r"""A thing is moved: features of a source and a target, and what is kept.

The arrays of DiffUHaul (Avrahami et al. 2024). Two branches of a sampler run
side by side; of the features of their tokens, S of the source and G of the
target, with the thing's places `old` in the source and `new` in the target:

    anchored   G <- (1 - a) G + a S(p - shift if p in new, else p)
    copied     G(p) <- S(q), q the one of the source's tokens nearest by cosine:
               of the thing for p in new, of the rest for all other p

and of the states, outside of `new` and `old` (grown by a few cells), G <- S.
Letters: b batch, n tokens in raster order, c channels, h, w sides.
"""

import jax
import jax.numpy as jnp
import numpy as np

Array = jax.Array


def buckets(steps: int, count: int) -> np.ndarray:
  """int [steps]: which noise each step has; neighbours have the same.

  Args:
    steps: of the sampler.
    count: noises there are: 1, all steps have one; `steps`, each its own.

  Raises:
    ValueError: more noises than steps.
  """
  if not 1 <= count <= steps:
    raise ValueError(f"buckets={count} of {steps} steps: 1 to {steps}")
  return np.arange(steps) * count // steps


def shifted(x: Array, by: Array, side: int) -> Array:
  """Tokens moved over their grid: at p what was at p - by.

  Args:
    x: [b, n, c] of a grid of side x side.
    by: int [b, 2] (x, y), in cells; from outside comes the nearest cell.
    side: of the grid.
  """
  at = jnp.arange(side)
  column, row = (
    jnp.clip(at - by[:, i, None], 0, side - 1) for i in range(2)
  )  # [b, side]
  index = row[:, :, None] * side + column[:, None, :]
  return jnp.take_along_axis(x, index.reshape(len(x), -1, 1), axis=1)


def anchored(
  target: Array,
  source: Array,
  old: Array,
  new: Array,
  *,
  by: Array,
  share: Array | float,
) -> Array:
  """Features drawn to those of the source, the thing's to where it goes.

  The place that it leaves is not drawn to anything.

  Args:
    target: [b, n, c] of a square grid.
    source: [b, n, c].
    old: bool [b, n], where the thing is in the source.
    new: bool [b, n], where it is in the target.
    by: int [b, 2], see `shifted`.
    share: a in 0 .. 1; 1: nothing is left of the target's own.
  """
  side = round(target.shape[1] ** 0.5)
  goal = jnp.where(new[..., None], shifted(source, by, side), source)
  a = jnp.where((old & ~new)[..., None], 0.0, share).astype(target.dtype)
  return (1 - a) * target + a * goal


def nearest(target: Array, source: Array, among: Array) -> Array:
  """For each of the target's tokens the most similar one of the source's.

  Args:
    target: [b, n, c].
    source: [b, n, c].
    among: bool [b, n], those of the source that are looked at; where there are
      none the target stays.

  Returns:
    [b, n, c] tokens of the source.
  """
  unit = lambda x: x * jax.lax.rsqrt((x * x).sum(-1, keepdims=True) + 1e-12)
  one, other = (unit(x.astype(jnp.float32)) for x in (target, source))
  alike = jnp.einsum("bnc,bmc->bnm", one, other)
  alike = jnp.where(among[:, None], alike, -jnp.inf)
  index = alike.argmax(-1)[..., None]
  found = jnp.take_along_axis(source, index, axis=1)
  return jnp.where(among.any(1)[:, None, None], found, target)


def copied(
  target: Array, source: Array, old: Array, new: Array, *, rest: bool
) -> Array:
  """The thing's tokens, and perhaps all others, by the source's nearest ones.

  Args:
    target: [b, n, c].
    source: [b, n, c].
    old: bool [b, n], where the thing is in the source.
    new: bool [b, n], where it is in the target.
    rest: tokens outside of it, too, by those outside of it in the source.
  """
  made = nearest(target, source, old)
  others = nearest(target, source, ~old) if rest else target
  return jnp.where(new[..., None], made, others)


def _window(masks: Array, radius: int, reduce, start: float) -> Array:
  """Of float masks [b, h, w], over squares of 2 radius + 1."""
  side = 2 * radius + 1
  return jax.lax.reduce_window(
    masks, start, reduce, (1, side, side), (1, 1, 1), "SAME"
  )


def grown(masks: Array, radius: int) -> Array:
  """bool [b, h, w]: all within a square of `radius` cells around a mask."""
  return _window(masks.astype(jnp.float32), radius, jax.lax.max, 0.0) > 0


def feathered(masks: Array, radius: int) -> Array:
  """Weights [b, h, w] in 0 .. 1 that fall off within the masks.

  0 outside of a mask; 1 where all within 2 `radius` is in it. The edge of a
  picture is no edge of a mask.

  Args:
    masks: bool [b, h, w].
    radius: of the fall, in cells; 0: the masks.
  """
  inner = 1 - grown(~masks, radius).astype(jnp.float32)
  total = lambda x: _window(x, radius, jax.lax.add, 0.0)
  return total(inner) / total(jnp.ones_like(inner))
