"""Two pictures and the flow between them, exact at every pixel.

    target(p) = source(p + flow(p))          p: (x, y) in pixels, y downward
    p + flow(p) = A (p - m) + m + s + T(p)   m: the middle, s: a shift

A turns and scales, T is a thin-plate spline through displaced points of a
regular grid (Bookstein 1989). The flow is a formula; the target is what is seen
bilinearly between the source's pixels there, and black beyond it. Where
something flat or striped is pasted into the source, many places look alike.
"""

import dataclasses

import numpy as np

TURN, SCALE, SHIFT = 15.0, (0.85, 1.15), 4.0  # [degrees], [1], [pixels of 32]
POINTS, BEND = 4, 1.5  # of the spline, a side; deviation [pixels of 32]
SIDE = 32  # of the pictures that these lengths are in pixels of
PASTED, PATCH = 0.7, 12  # how often there is a patch, and its side [pixels]
NOISE = 0.05  # deviation, in both pictures [1 = white]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Warp:
  """A map of the plane.

  Attributes:
    linear: A [2, 2].
    shift: s [2] [pixels].
    bend: displacements [n n, 2] of the spline's points [pixels].
    side: of the pictures [pixels].
  """

  linear: np.ndarray
  shift: np.ndarray
  bend: np.ndarray
  side: int

  def flow(self, places: np.ndarray) -> np.ndarray:
    """float64 [..., 2] (x, y) at places [..., 2], in pixels."""
    middle = (self.side - 1) / 2
    moved = (places - middle) @ self.linear.T + middle + self.shift
    return moved + self._bent(places) - places

  def _bent(self, places: np.ndarray) -> np.ndarray:
    """T(p): the spline that has each displacement at its point."""
    points = control(self.side, round(len(self.bend) ** 0.5))
    n = len(points)
    system = np.zeros((n + 3, n + 3))
    system[:n, :n] = _radial(points[:, None] - points)
    system[:n, n:] = np.column_stack([np.ones(n), points])
    system[n:, :n] = system[:n, n:].T
    weights = np.linalg.solve(system, np.vstack([self.bend, np.zeros((3, 2))]))
    radial = _radial(places[..., None, :] - points)
    plane = np.concatenate([np.ones_like(places[..., :1]), places], axis=-1)
    return radial @ weights[:n] + plane @ weights[n:]


def control(side: int, n: int = POINTS) -> np.ndarray:
  """[n n, 2] points (x, y) of the spline, corners on corners."""
  line = np.linspace(0, side - 1, n)
  x, y = np.meshgrid(line, line)
  return np.stack([x, y], axis=-1).reshape(-1, 2)


def _radial(apart: np.ndarray) -> np.ndarray:
  """r^2 log r of differences [..., 2]; 0 at 0."""
  square = (apart**2).sum(-1)
  return 0.5 * square * np.log(np.where(square > 0, square, 1.0))


def draw(side: int, rng: np.random.Generator, bent: bool = True) -> Warp:
  """A random warp of pictures of that side; `rng` is consumed alike."""
  unit = side / SIDE
  angle = np.deg2rad(rng.uniform(-TURN, TURN))
  scale = rng.uniform(*SCALE)
  turn = np.array(
    [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
  )
  shift = unit * rng.uniform(-SHIFT, SHIFT, 2)
  bend = unit * BEND * rng.standard_normal((POINTS**2, 2))
  return Warp(linear=scale * turn, shift=shift, bend=bend * bent, side=side)


def pixels(side: int) -> np.ndarray:
  """[side, side, 2] (x, y) of each pixel."""
  y, x = np.mgrid[:side, :side].astype(float)
  return np.stack([x, y], axis=-1)


def seen(picture: np.ndarray, places: np.ndarray) -> np.ndarray:
  """[..., c]: a picture [h, w, c] at (x, y) [..., 2], bilinear, 0 outside."""
  sides = np.array(picture.shape[1::-1])
  low = np.floor(places)
  total = np.zeros((*places.shape[:-1], picture.shape[-1]))
  for step in np.ndindex(2, 2):
    at = low + step
    weight = (1 - np.abs(places - at)).prod(-1)
    there = ((at >= 0) & (at < sides)).all(-1)
    x, y = np.moveaxis(np.clip(at, 0, sides - 1).astype(int), -1, 0)
    total += np.where(there, weight, 0.0)[..., None] * picture[y, x]
  return total


def patch(
  picture: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
  """(picture, where [h, w] bool) with a flat or striped square in it, or none.

  Args:
    picture: float [h, w, c] in 0 .. 1.
    rng: consumed.
  """
  h, w, c = picture.shape
  there, striped = rng.uniform() < PASTED, rng.uniform() < 0.5
  top, left = (int(rng.integers(n - PATCH + 1)) for n in (h, w))
  colours = rng.uniform(size=(2, c))
  period, along = int(rng.integers(2, 5)), int(rng.integers(2))
  where = np.zeros((h, w), bool)
  if not there:
    return picture, where
  where[top : top + PATCH, left : left + PATCH] = True
  stripe = (np.indices((h, w))[along] // period) % 2 * striped
  return np.where(where[..., None], colours[stripe], picture), where


def pair(
  picture: np.ndarray, rng: np.random.Generator, bent: bool = True
) -> dict[str, np.ndarray]:
  """A source, its target, and what is true of the target's pixels.

  Args:
    picture: float [s, s, c] in 0 .. 1.
    rng: consumed.
    bent: with a spline; else affine.

  Returns:
    images float [2, s, s, c] in 0 .. 1, the source first; flow float32 [s, s,
    2] (x, y); known bool [s, s], whether it leads into the source; ambiguous
    bool [s, s], whether to the patch.
  """
  side = len(picture)
  warp = draw(side, rng, bent)
  source, where = patch(picture, rng)
  flow = warp.flow(pixels(side)).astype(np.float32)
  places = pixels(side) + flow
  images = np.stack([source, seen(source, places)])
  images = images + NOISE * rng.standard_normal(images.shape)
  known = ((places >= 0) & (places <= side - 1)).all(-1)
  hit = seen(where[..., None].astype(float), places)[..., 0] > 0.5
  return {
    "images": images.clip(0, 1),
    "flow": flow,
    "known": known,
    "ambiguous": hit & known,
  }
