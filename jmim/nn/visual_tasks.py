"""Tasks of vision, as functions from a picture to an input and its target.

    input, target = TASKS[name](x, u)     x, both: [..., h, w, c] in -1 .. 1

Most inputs are the picture itself. `u` [..., 4] are uniform numbers in 0 .. 1
of each picture, read by tasks that need a place. All sides and batch
dimensions will do, but for `transpose`, which wants squares.

identity        the picture
invert          -x
roll            channels moved on by one
flip            left and right exchanged
transpose       rows and columns exchanged
edges           length of the differences to the pixels right and below
mask            white where brighter than the picture's mean, else black
relabel         each pixel becomes the colour after the nearest in PALETTE
blur            means of 2 x 2 pixels, at the size of the picture
inpaint         a grey square lies on the input; the picture
hue_swap        red and blue exchanged in one thing: see `one_thing`
next_position   a dot and, darker, where it was; where it will be
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

Array = jax.Array
Pair = tuple[Array, Array]
Task = Callable[[Array, Array], Pair]

# Colours in -1 .. 1; the first two are of grounds.
PALETTE = np.float32(
  [
    [-0.7, -0.7, -0.7],
    [0.9, 0.9, 0.9],
    [0.7, -0.6, -0.6],
    [-0.5, 0.3, -0.4],
    [-0.6, -0.2, 0.6],
    [0.8, 0.6, -0.5],
  ]
)
HOLE = 0.4  # side of the square of `inpaint`, as a share of the picture's
DOT = 0.1  # radius of the dot, as a share of the shorter side
STEP = 0.2  # greatest step of the dot along an axis, as a share of a side


def keep(x: Array, u: Array) -> Pair:
  """identity."""
  del u
  return x, x


def invert(x: Array, u: Array) -> Pair:
  """Complements."""
  del u
  return x, -x


def roll(x: Array, u: Array) -> Pair:
  """Red to green to blue to red."""
  del u
  return x, jnp.roll(x, 1, axis=-1)


def flip(x: Array, u: Array) -> Pair:
  """Mirrored."""
  del u
  return x, x[..., ::-1, :]


def transpose(x: Array, u: Array) -> Pair:
  """Along the diagonal.

  Raises:
    ValueError: unequal sides.
  """
  del u
  if x.shape[-3] != x.shape[-2]:
    raise ValueError(f"transpose of pictures of {x.shape[-3:-1]}: not square")
  return x, jnp.swapaxes(x, -3, -2)


def edges(x: Array, u: Array) -> Pair:
  """min(sqrt(dx^2 + dy^2), 2) - 1 of the brightness, 0 past the last pixel."""
  del u
  grey = x.mean(-1)
  down = jnp.diff(grey, axis=-2, append=grey[..., -1:, :])
  right = jnp.diff(grey, axis=-1, append=grey[..., :, -1:])
  length = jnp.sqrt(down**2 + right**2)
  return x, _grey(jnp.minimum(length, 2.0) - 1, x)


def mask(x: Array, u: Array) -> Pair:
  """Brighter than the mean."""
  del u
  grey = x.mean(-1)
  bright = grey > grey.mean((-2, -1), keepdims=True)
  return x, _grey(jnp.where(bright, 1.0, -1.0), x)


def nearest(x: Array) -> Array:
  """[..., h, w] int: the colour of PALETTE nearest to each pixel."""
  return ((x[..., None, :] - PALETTE) ** 2).sum(-1).argmin(-1)


def relabel(x: Array, u: Array) -> Pair:
  """The next colour of PALETTE, the first after the last."""
  del u
  after = (nearest(x) + 1) % len(PALETTE)
  return x, jnp.asarray(PALETTE)[after].astype(x.dtype)


def blur(x: Array, u: Array) -> Pair:
  """Of odd sides the last row or column is a mean with itself."""
  del u
  *_, h, w, _ = x.shape
  pads = [(0, 0)] * (x.ndim - 3) + [(0, h % 2), (0, w % 2), (0, 0)]
  even = jnp.pad(x, pads, mode="edge")
  rows = (even[..., ::2, :, :] + even[..., 1::2, :, :]) / 2
  small = (rows[..., ::2, :] + rows[..., 1::2, :]) / 2
  large = jnp.repeat(jnp.repeat(small, 2, axis=-3), 2, axis=-2)
  return x, large[..., :h, :w, :]


def inpaint(x: Array, u: Array) -> Pair:
  """The square has side HOLE, anywhere inside."""
  y, z = _places(x)
  top, left = (u[..., i, None] * (1 - HOLE) for i in (0, 1))
  inside = lambda at, start: (at >= start) & (at < start + HOLE)
  rows, columns = inside(y, top), inside(z, left)
  hole = rows[..., :, None] & columns[..., None, :]
  return jnp.where(hole[..., None], 0.0, x), x


def one_thing(x: Array) -> Array:
  """[..., h, w] bool: pixels of the commonest colour but that of the ground.

  Colours are those of PALETTE; the ground's is the commonest of all.
  """
  labels = nearest(x)
  counts = (labels[..., None] == np.arange(len(PALETTE))).sum((-3, -2))
  second = jnp.argsort(-counts, axis=-1)[..., 1]
  return labels == second[..., None, None]


def hue_swap(x: Array, u: Array) -> Pair:
  """Red and blue change places in the one thing."""
  del u
  return x, jnp.where(one_thing(x)[..., None], x[..., ::-1], x)


def next_position(x: Array, u: Array) -> Pair:
  """A dot at p, grey at p - s in the input; at p + s in the target.

  p and s are such that all three are inside.
  """
  step = STEP * (2 * u[..., 2:] - 1)
  room = jnp.abs(step) + DOT
  at = room + (1 - 2 * room) * u[..., :2]
  before, now, after = (_dot(x, at + k * step) for k in (-1, 0, 1))
  seen = jnp.where(before, 0.0, x)
  return jnp.where(now, 1.0, seen), jnp.where(after, 1.0, x)


TASKS: dict[str, Task] = {
  "identity": keep,
  "invert": invert,
  "roll": roll,
  "flip": flip,
  "transpose": transpose,
  "edges": edges,
  "mask": mask,
  "relabel": relabel,
  "blur": blur,
  "inpaint": inpaint,
  "hue_swap": hue_swap,
  "next_position": next_position,
}


def apply(names: tuple[str, ...], number: Array, x: Array, u: Array) -> Pair:
  """Inputs and targets of pictures, each example by its own task.

  Args:
    names: in TASKS.
    number: [b] places in `names`.
    x: [b, n, h, w, c].
    u: [b, n, 4].
  """
  every = [TASKS[name] for name in names]
  one = lambda i, x, u: jax.lax.switch(i, every, x, u)
  return jax.vmap(one)(number, x, u)


def _grey(values, like):
  """[..., h, w] -> all channels of `like`."""
  return jnp.broadcast_to(values[..., None], like.shape).astype(like.dtype)


def _places(x):
  """Centres of rows [h] and columns [w] in 0 .. 1."""
  return tuple((np.arange(n) + 0.5) / n for n in x.shape[-3:-1])


def _dot(x, at):
  """[..., h, w, 1] bool: within DOT of (y, x) [..., 2], shares of the sides."""
  h, w = x.shape[-3:-1]
  y, z = _places(x)
  dy = (y - at[..., :1]) * h
  dx = (z - at[..., 1:]) * w
  square = dy[..., :, None] ** 2 + dx[..., None, :] ** 2
  return (square <= (DOT * min(h, w)) ** 2)[..., None]
