r"""A threshold for each map of a word, and two levels that are sure.

Wu et al. 2023 (DiffuMask; weijiawu/DiffuMask@913d232, aff_prepare.py). Of a map
m, with the bounds of its class in percent:

    g   the first of low, low + 1, .. high - 1 with most pixels in (g, g + 1)
    a   = mean of m above g,  b = mean of m below g
    g  -= 3 until the pixels above a are `least` of all, or g is 30
    g  += 3 until those below b are, or g is 75
    thing: above a + its offset;  ground: below b + its offset

and a, b are of the last g. As in their code b lags one move behind while g
rises, and is that of the first g before.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jmim.methods.parts import word_tables

Array = jax.Array

STEP = 0.03
# Their comparisons are with 30 and 75, which the sums in float64 are beyond.
FLOOR, CEILING = 0.3001, 0.7499


class Found(NamedTuple):
  """Of each map, [b].

  Attributes:
    threshold: g, as a share.
    thing: level above which a pixel is surely the thing.
    ground: level below which it is surely not.
  """

  threshold: Array
  thing: Array
  ground: Array


def find(maps: Array, rows: Array) -> Found:
  """The threshold of each map.

  Args:
    maps: [b, h, w].
    rows: [b, 5] `word_tables.Row` of their classes.
  """
  return jax.vmap(_of_one)(maps, rows)


def _of_one(m: Array, row: Array) -> Found:
  row = word_tables.Row(*row)
  # Nothing above, or below, is above the greatest, or below the least.
  mean = lambda where, none: jnp.where(
    where.any(), (m * where).sum() / jnp.maximum(where.sum(), 1), none
  )
  above = lambda g: mean(m > g, m.max())
  below = lambda g: mean(m < g, m.min())
  least = row.least * m.size

  def fall(state):
    g, _ = state
    return g - STEP, above(g - STEP)

  def rise(state):
    g, _ = state
    return g + STEP, below(g)

  first = _most_frequent(m, row)
  few_above = lambda state: ((m > state[1]).sum() < least) & (state[0] >= FLOOR)
  few_below = lambda state: (
    ((m < state[1]).sum() < least) & (state[0] <= CEILING)
  )
  g, _ = jax.lax.while_loop(few_above, fall, (first, above(first)))
  g, _ = jax.lax.while_loop(few_below, rise, (g, below(first)))
  return Found(g, above(g) + row.thing, below(g) + row.ground)


def _most_frequent(m: Array, row: word_tables.Row) -> Array:
  """The first percent with most pixels in it, as a share."""
  percents = np.arange(100)
  edges = np.float32(0.01 * np.arange(101))
  # One histogram: a pixel on an edge is in no bin.
  flat = jnp.sort(m.ravel())
  below = jnp.searchsorted(flat, edges, side="left")
  up_to = jnp.searchsorted(flat, edges, side="right")
  counts = below[1:] - up_to[:-1]
  asked = (percents >= row.low) & (percents < row.high)
  return jnp.asarray(edges)[jnp.where(asked, counts, -1).argmax()]
