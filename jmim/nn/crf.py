r"""Fully connected conditional random fields by mean field.

Kraehenbuehl and Koltun 2011, with the conventions of their code as
lucasb-eyer/pydensecrf wraps it: Potts compatibility, kernels normalised on both
sides, one's own pixel included.

    Q    ~ exp(-U)
    Q(l) ~ exp(-U(l) + sum_k w_k (D_k^-1/2 K_k D_k^-1/2 Q)(l))     `steps` times
    K_k  = exp(-|f_i - f_j|^2 / 2),   D_k = K_k 1

Features f are places over a width (an appearance-free kernel), or places and
colours. There `pydensecrf` uses a lattice; here K is exact up to some pixels,
and beyond them a grid over places and colours: pixels are shared among the 32
cells around them, cells are averaged with their neighbours (of three, so that
the variance of the whole is 1), and pixels read as they have written.

Letters: b batch, h w grid, c labels.
"""

import functools
import itertools
from collections.abc import Callable
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

Array = jax.Array
Filter = Callable[[Array], Array]  # [b, h, w, c] -> [b, h, w, c]

LEVELS = 255.0  # greatest level of a colour
_einsum = functools.partial(jnp.einsum, precision="highest")


def certain(labels: Array, classes: int, certainty: float) -> Array:
  """U = -log p of hard labels among many classes, of which two occur.

  Args:
    labels: [b, h, w] of 0 and 1.
    classes: all there are.
    certainty: p of the label; the others share the rest.

  Returns:
    [b, h, w, 3] float32: of 0, of 1, of any other class.
  """
  other = (1 - certainty) / max(classes - 1, 1)
  own = jax.nn.one_hot(labels, 3)
  return -jnp.log(jnp.where(own > 0, certainty, other))


def mean_field(
  unary: Array,
  filters: Sequence[tuple[float, Filter]],
  steps: int,
  copies: Sequence[int] = (),
) -> Array:
  """Q [b, h, w, c].

  Args:
    unary: U [b, h, w, c].
    filters: (weight, kernel), see `gaussian` and `bilateral`.
    steps: of mean field.
    copies: how many labels each of the c stands for, which nothing tells apart;
      (): one each. Q is of one of them.
  """
  copies = jnp.asarray(copies or (1,) * unary.shape[-1], jnp.float32)

  def normal(score):
    e = jnp.exp(score - score.max(-1, keepdims=True))
    return e / (copies * e).sum(-1, keepdims=True)

  def step(q, _):
    return normal(-unary + sum(w * f(q) for w, f in filters)), None

  q, _ = jax.lax.scan(step, normal(-unary), None, length=steps)
  return q


def gaussian(sides: tuple[int, int], width: float) -> Filter:
  """The kernel of places alone, exact.

  Args:
    sides: (h, w).
    width: standard deviation [pixels].
  """
  kernels = []
  for n in sides:
    away = np.arange(n) - np.arange(n)[:, None]
    kernels.append(np.exp(-0.5 * (away / width) ** 2))
  rows, columns = kernels
  norm = 1 / np.sqrt(rows.sum(1)[:, None] * columns.sum(1))[..., None]
  rows, columns, norm = (np.float32(x) for x in (rows, columns, norm))

  def run(x):
    return norm * _einsum("yi,xj,bijc->byxc", rows, columns, norm * x)

  return run


def bilateral(
  images: Array, place: float, colour: float, exact_to: int
) -> Filter:
  """The kernel of places and colours of some images.

  Args:
    images: [b, h, w, 3], levels 0 .. 255.
    place: standard deviation of places [pixels].
    colour: standard deviation of colours [levels].
    exact_to: most pixels of an image whose kernel is computed as it is.
  """
  b, h, w, _ = images.shape
  grid = jnp.broadcast_to(np.stack(np.mgrid[:h, :w], -1), (b, h, w, 2))
  features = jnp.concatenate([grid / place, images / colour], -1)
  features = features.reshape(b, h * w, 5).astype(jnp.float32)
  if h * w <= exact_to:
    kernel = _exact(features)
  else:
    most = ((h - 1) / place, (w - 1) / place, *(LEVELS / colour,) * 3)
    kernel = _gridded(features, tuple(int(m) + 2 for m in most))
  norm = jax.lax.rsqrt(kernel(jnp.ones((b, h * w, 1))))

  def run(x):
    flat = x.reshape(b, h * w, -1)
    return (norm * kernel(norm * flat)).reshape(x.shape)

  return run


def _exact(features: Array) -> Filter:
  """K x of [b, n, c], from features [b, n, k]."""
  square = (features**2).sum(-1)
  inner = _einsum("bik,bjk->bij", features, features)
  away = square[:, :, None] + square[:, None] - 2 * inner
  kernel = jnp.exp(-0.5 * jnp.maximum(away, 0.0))
  return lambda x: _einsum("bij,bjc->bic", kernel, x)


def _gridded(features: Array, cells: tuple[int, ...]) -> Filter:
  """The same, about, by a grid of so many cells along each feature."""
  low = jnp.floor(features).astype(jnp.int32)
  share = features - low
  count = int(np.prod(cells))
  corners = []
  for up in itertools.product((0, 1), repeat=len(cells)):
    weight = jnp.where(jnp.asarray(up) == 1, share, 1 - share).prod(-1)
    number = 0
    for k, n in enumerate(cells):
      number = number * n + jnp.clip(low[..., k] + up[k], 0, n - 1)
    corners.append((number, weight))

  def blurred(grid, axis):
    around = jnp.pad(grid, [(int(a == axis),) * 2 for a in range(grid.ndim)])
    take = functools.partial(jax.lax.slice_in_dim, around, axis=axis)
    n = grid.shape[axis]
    return sum(take(i, i + n) for i in range(3)) / 3

  def one(x, numbers, weights):
    grid = jnp.zeros((count, x.shape[-1]))
    for number, weight in zip(numbers, weights, strict=True):
      grid = grid.at[number].add(weight[:, None] * x)
    grid = grid.reshape(*cells, -1)
    for axis in range(len(cells)):
      grid = blurred(grid, axis)
    grid = grid.reshape(count, -1)
    pairs = zip(numbers, weights, strict=True)
    return sum(weight[:, None] * grid[number] for number, weight in pairs)

  numbers, weights = zip(*corners, strict=True)
  return lambda x: jax.vmap(one)(x, numbers, weights)
