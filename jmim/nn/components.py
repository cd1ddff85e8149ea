"""Connected parts of masks: labels, holes, and parts that are too small.

Pixels of a part touch at a side or a corner, those of the ground at a side: the
outlines of OpenCV (`findContours`, whose outermost ones `fillPoly` fills).

Labels flow along whole rows and columns at once, so that a map of any side is
done after a few rounds, whatever winds through it.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np

Array = jax.Array


def _flow(values: Array, free: Array, axis: int, reverse: bool) -> Array:
  """Least value so far of each run of free pixels, along an axis."""

  def join(a, b):
    (low_a, open_a), (low_b, open_b) = a, b
    low = jnp.where(open_b, jnp.minimum(low_a, low_b), low_b)
    return low, open_a & open_b

  return jax.lax.associative_scan(join, (values, free), reverse, axis)[0]


def _touching(values: Array, most: int) -> Array:
  """Least value of each pixel and its eight neighbours; [h, w]."""
  wide = jnp.pad(values, 1, constant_values=most)
  h, w = values.shape
  near = [wide[i : i + h, j : j + w] for i in range(3) for j in range(3)]
  return functools.reduce(jnp.minimum, near)


def _settled(values: Array, free: Array, corners: bool) -> Array:
  """Least value of all free pixels that each can be reached from; [h, w]."""
  most = int(np.iinfo(np.int32).max)

  def round_(state):
    _, now = state
    new = now
    for axis in (0, 1):
      for reverse in (False, True):
        new = jnp.where(free, _flow(new, free, axis, reverse), most)
    if corners:
      new = jnp.where(free, _touching(new, most), most)
    return (new != now).any(), new

  begun = jnp.where(free, values, most)
  go_on = lambda state: state[0]
  return jax.lax.while_loop(go_on, round_, (jnp.array(True), begun))[1]


def labels(mask: Array) -> Array:
  """int32 [b, h, w]: the number of a part is that of its first pixel.

  Args:
    mask: bool [b, h, w].

  Returns:
    of the ground the largest int32.
  """
  h, w = mask.shape[1:]
  numbers = jnp.arange(h * w, dtype=jnp.int32).reshape(h, w)
  return jax.vmap(lambda m: _settled(numbers, m, corners=True))(mask)


def filled(mask: Array) -> Array:
  """bool [b, h, w]: a mask and its holes, which no way leads out of."""
  h, w = mask.shape[1:]
  inner = np.pad(np.ones((h - 2, w - 2), np.int32), 1)

  def one(m):
    reached = _settled(jnp.asarray(inner), ~m, corners=False)
    return m | (reached > 0)  # what an edge pixel reaches is 0

  return jax.vmap(one)(mask)


def large(mask: Array, least: int) -> Array:
  """bool [b, h, w]: filled parts whose box has `least` pixels or more."""
  h, w = mask.shape[1:]
  whole = filled(mask)

  def one(m, label):
    flat = jnp.where(m, label, h * w).ravel()
    rows, columns = np.divmod(np.arange(h * w, dtype=np.int32), w)
    extent = 1
    for places in (rows, columns):
      first = jax.ops.segment_min(places, flat, h * w + 1)
      last = jax.ops.segment_max(places, flat, h * w + 1)
      extent = extent * jnp.clip(last - first + 1, 0)
    return m & (extent[flat] >= least).reshape(h, w)

  return jax.vmap(one)(whole, labels(whole))
