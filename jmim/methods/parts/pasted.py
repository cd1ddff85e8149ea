r"""Pictures made of several, with their maps, on the device.

Wu et al. 2023 (DiffuMask): what a model makes of a word is one large thing in
the middle. So pictures are

    warped      four corners are moved: perspective
    occluded    a box of another picture lies over it
    spliced     r x c others, each smaller, stand side by side

in this order, each of a share of the batch, whose pictures the others are. Blur
is in `data.blur_share`. The authors splice whole pictures, 1 x 2 to 8 x 8, and
cut what a network sees out of them; here the side of a picture stays.
"""

import dataclasses

import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import method
from jmim.core import randomness
from jmim.nn import warps

Array = jax.Array
Pair = tuple[Array, Array]  # images [b, h, w, c], maps int [b, h, w]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Pasted:
  """Shares and sizes of what is done to a batch."""

  warp: float = field.value(
    0.0, "share of pictures seen in perspective", low=0.0, high=1.0
  )
  corner: float = field.value(
    0.2, "farthest that a corner moves [share of a side]", above=0.0, below=0.25
  )
  occlude: float = field.value(
    0.0, "share of pictures with a box of another over them", low=0.0, high=1.0
  )
  box: tuple[float, float] = field.value(
    (0.1, 0.4), "least and greatest side of that box [share of a side]"
  )
  splice: float = field.value(
    0.0, "share of pictures made of several others", low=0.0, high=1.0
  )
  grids: tuple[tuple[int, int], ...] = field.value(
    ((1, 2), (2, 1), (2, 2), (3, 3)),
    "(rows, columns) of others in such a picture; one is drawn",
  )

  def check(self) -> None:
    """Raises ValueError for sizes that make no picture."""
    low, high = self.box if len(self.box) == 2 else (0, 0)
    if not 0 < low <= high <= 1:
      raise ValueError(
        f"pasted.box={self.box}: least and greatest, above 0, at most 1"
      )
    fine = self.grids and all(len(g) == 2 and min(g) >= 1 for g in self.grids)
    if not fine:
      raise ValueError(
        f"pasted.grids={self.grids}: (rows, columns), of 1 or more"
      )

  def draw(self, keys: randomness.Keys, count: int) -> method.Draws:
    """Of what has a share, all ~ U[0, 1), for so many pictures.

    warp [b], corners [b, 4, 2]; occlude, other [b], box [b, 6]: sides, its
    place, and the place in the other; splice, grid [b], others [b, tiles].
    """
    tiles = max(r * c for r, c in self.grids)
    shapes = {
      "warp": {"warp": (), "corners": (4, 2)},
      "occlude": {"occlude": (), "other": (), "box": (6,)},
      "splice": {"splice": (), "grid": (), "others": (tiles,)},
    }
    uniform = lambda name, shape: jax.random.uniform(
      keys(name), (count, *shape)
    )
    return {
      name: uniform(name, shape)
      for kind, own in shapes.items()
      if getattr(self, kind)
      for name, shape in own.items()
    }

  def apply(
    self, images: Array, maps: Array, draws: method.Draws, ignore: int
  ) -> Pair:
    """Images [b, h, w, c] and maps int [b, h, w], changed under given draws.

    Args:
      images: of a batch.
      maps: of what is where in them.
      draws: of `draw`.
      ignore: value of a map where nothing is known.
    """
    pair = (images, maps)
    if self.warp:
      pair = _of_some(
        draws["warp"] < self.warp, self.warped(pair, draws, ignore), pair
      )
    if self.occlude:
      pair = _of_some(
        draws["occlude"] < self.occlude, self.occluded(pair, draws), pair
      )
    if self.splice:
      pair = _of_some(
        draws["splice"] < self.splice, self.spliced(pair, draws), pair
      )
    return pair

  def warped(self, pair: Pair, draws: method.Draws, ignore: int) -> Pair:
    """In perspective; what was outside is 0, its map `ignore`."""
    images, maps = pair
    square = jnp.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    moved = square + self.corner * (2 * draws["corners"] - 1)
    places = warps.seen(warps.homography(moved), images.shape[1:3])
    return warps.bilinear(images, places), warps.nearest(maps, places, ignore)

  def occluded(self, pair: Pair, draws: method.Draws) -> Pair:
    """With a box of another picture of the batch."""
    images, maps = pair
    b, h, w = maps.shape
    sides, low, high = jnp.array([h, w]), *self.box
    u = draws["box"]
    size = jnp.ceil((low + (high - low) * u[:, :2]) * sides).astype(jnp.int32)
    corner = lambda share: jnp.floor(share * (sides - size + 1)).astype(
      jnp.int32
    )
    to, start = corner(u[:, 2:4]), corner(u[:, 4:])
    grid = jnp.stack(jnp.mgrid[:h, :w], -1)
    inside = (grid >= _each(to)) & (grid < _each(to + size))
    source = jnp.clip(grid - _each(to - start), 0, sides - 1)
    other = _number(draws["other"], b)[:, None, None]
    at = (other, source[..., 0], source[..., 1])
    inside = inside.all(-1)
    return (
      jnp.where(inside[..., None], images[at], images),
      jnp.where(inside, maps[at], maps),
    )

  def spliced(self, pair: Pair, draws: method.Draws) -> Pair:
    """Of rows and columns of others; of each pixel four places are read."""
    images, maps = pair
    b, h, w = maps.shape
    number = _number(draws["grid"], len(self.grids))
    counts = jnp.asarray(self.grids)[number]  # [b, 2]
    others = _number(draws["others"], b)
    grid = jnp.stack(jnp.mgrid[:h, :w], -1)
    sides = jnp.array([h, w])
    tile = grid * _each(counts) // sides
    first = grid * _each(counts) - tile * sides  # first pixel that is shown
    flat = tile[..., 0] * counts[:, 1, None, None] + tile[..., 1]
    pick = jax.vmap(lambda other, at: other[at])
    other = pick(others, flat)

    def at(rows, columns):
      """Of the pixels shown by one, that at a share of their height, width."""
      share = jnp.array([rows, columns])
      y, x = jnp.moveaxis(
        first + jnp.floor(share * _each(counts)).astype(int), -1, 0
      )
      return other, jnp.minimum(y, h - 1), jnp.minimum(x, w - 1)

    quarters = [(i, j) for i in (0.25, 0.75) for j in (0.25, 0.75)]
    seen = sum(images[at(*share)] for share in quarters) / len(quarters)
    return seen, maps[at(0.5, 0.5)]


def _each(x: Array) -> Array:
  """[b, k] -> [b, 1, 1, k]."""
  return x[:, None, None]


def _number(share: Array, n: int) -> Array:
  """U[0, 1) -> 0 .. n - 1."""
  return jnp.floor(share * n).astype(jnp.int32)


def _of_some(chosen: Array, changed: Pair, pair: Pair) -> Pair:
  """The changed ones of some examples; chosen: bool [b]."""
  pick = lambda a, b: jnp.where(chosen.reshape(-1, *[1] * (a.ndim - 1)), a, b)
  return tuple(map(pick, changed, pair))
