r"""Affinities of near places, learned from labels, and walks along them.

Ahn and Kwak 2018 (AffinityNet, jiwoon-ahn/psa). Of places i, j less than
`radius` apart, with features f:

    a_ij = exp(-mean_c |f_i - f_j|)
    loss = mean_B -log a / 4 + mean_F -log a / 4 + mean_D -log(1 - a) / 2
    T    = A^beta D^-1,   map <- T^(2^t) map          A^beta entry by entry

B are pairs within the ground, F pairs within one class, D pairs of two; pairs
with a place that is ignored count nowhere. Every pair of places is one of an
offset below (or right of) the first: [b, k, h, w] holds pair (i, i + offset k)
at place i. The authors leave out places near three of the edges, whose half
discs are cut; here all pairs within the map count.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np

Array = jax.Array

GROUND = 0
EPS = 1e-5
_einsum = functools.partial(jnp.einsum, precision="highest")


def offsets(radius: int) -> list[tuple[int, int]]:
  """(row, column) of half a disc, in the authors' order."""
  right = [(0, x) for x in range(1, radius)]
  near = lambda y, x: x * x + y * y < radius * radius
  below = [
    (y, x)
    for y in range(1, radius)
    for x in range(1 - radius, radius)
    if near(y, x)
  ]
  return right + below


def shifted(x: Array, offset: tuple[int, int], fill: float = 0.0) -> Array:
  """[b, h, w, ...]: at each place what stands at place + offset, or `fill`."""
  (dy, dx), (h, w) = offset, x.shape[1:3]
  after = lambda d: (max(-d, 0), max(d, 0))
  pad = [(0, 0), after(dy), after(dx), *[(0, 0)] * (x.ndim - 3)]
  wide = jnp.pad(x, pad, constant_values=fill)
  top, left = max(dy, 0), max(dx, 0)
  return wide[:, top : top + h, left : left + w]


def within(sides: tuple[int, int], radius: int) -> np.ndarray:
  """bool [k, h, w]: pairs of which both are places of the map."""
  y, x = np.mgrid[: sides[0], : sides[1]]
  inside = lambda a, n: (a >= 0) & (a < n)
  return np.stack(
    [
      inside(y + dy, sides[0]) & inside(x + dx, sides[1])
      for dy, dx in offsets(radius)
    ]
  )


def edges(features: Array, radius: int) -> Array:
  """a [b, k, h, w] float32 of features [b, h, w, c]; 0 outside the map."""
  x = features.astype(jnp.float32)
  apart = lambda offset: jnp.abs(shifted(x, offset) - x).mean(-1)
  found = jnp.exp(-jnp.stack([apart(o) for o in offsets(radius)], axis=1))
  return jnp.where(within(x.shape[1:3], radius), found, 0.0)


def pairs(labels: Array, radius: int, ignore: int) -> tuple[Array, ...]:
  """(B, F, D) bool [b, k, h, w] of labels int [b, h, w]."""
  one = labels[:, None]
  other = jnp.stack(
    [shifted(labels, offset, ignore) for offset in offsets(radius)], axis=1
  )
  known = (one != ignore) & (other != ignore)
  alike = known & (one == other)
  return alike & (one == GROUND), alike & (one != GROUND), known & ~alike


def loss(a: Array, kinds: tuple[Array, ...]) -> tuple[Array, dict[str, Array]]:
  """The loss of a batch, and its three means; arguments as made above."""
  cost = lambda x: -jnp.log(x + EPS)
  mean = lambda x, kind: (kind * x).sum() / (kind.sum() + EPS)
  ground, thing, apart = kinds
  told = {
    "ground": mean(cost(a), ground),
    "thing": mean(cost(a), thing),
    "apart": mean(cost(1 - a), apart),
  }
  return told["ground"] / 4 + told["thing"] / 4 + told["apart"] / 2, told


def matrix(a: Array, radius: int) -> Array:
  """A [b, n, n] of n = h w places: symmetric, 1 on the diagonal.

  Args:
    a: [b, k, h, w].
    radius: that a was made with.
  """
  b, _, h, w = a.shape
  inside = within((h, w), radius)
  places = np.arange(h * w).reshape(h, w)
  first = np.concatenate([places[there] for there in inside])
  steps = [dy * w + dx for dy, dx in offsets(radius)]
  counts = inside.sum((1, 2))
  second = first + np.repeat(steps, counts)
  values = a[:, *np.nonzero(inside)]
  half = jnp.zeros((b, h * w, h * w)).at[:, first, second].set(values)
  return half + half.mT + jnp.eye(h * w)


def transition(affinity: Array, beta: float, doublings: int) -> Array:
  """T^(2^doublings) [b, n, n] of A [b, n, n]; its columns sum to 1."""
  t = affinity**beta
  t = t / t.sum(1, keepdims=True)
  square = lambda _, t: _einsum("bij,bjk->bik", t, t)
  return jax.lax.fori_loop(0, doublings, square, t)


def walked(maps: Array, transition: Array) -> Array:
  """Maps [b, h, w] after the walk: of each place a mean of all the others'."""
  flat = maps.reshape(len(maps), -1)
  return _einsum("bi,bij->bj", flat, transition).reshape(maps.shape)
