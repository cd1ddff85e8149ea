"""Figures that dance in a patterned shirt, and the same clips in another one.

Lengths are in 1/32 of the side. A figure has a head, a torso, two arms and two
legs; it turns by up to 25 degrees, grows and shrinks by a tenth, wanders, and
swings its limbs. What it wears is a texture of torso coordinates,

    pixel = centre(t) + scale(t) R(angle(t)) (5 u, 6.5 v)      u, v in -1 .. 1

so that it moves with the body, and a clip can be rendered anew with any other.
Edges are soft, over a pixel. The torso is in front of the limbs.

Made for VITON-DiT (Zheng et al. 2024), whose videos are not public.
"""

import dataclasses

import numpy as np

from jmim.data.procedural import drawing

KINDS = ("plain", "stripes", "dots", "check")
SIDE = 32  # units along a side
FLAT = 16  # side of a garment by itself [pixels]
TORSO = (5.0, 6.5)  # half of its width and of its height
TURN = np.deg2rad(25)
GREY = 127.5  # of what agnostic frames do not show
DILATED = 1.0  # by which what they hide is larger than the garment [pixels]
_LEFT, _RIGHT = -1, 1
_MARKS = {"body": (255, 255, 255), _LEFT: (255, 90, 60), _RIGHT: (60, 140, 255)}

Colour = tuple[float, float, float]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Garment:
  """A texture on -1 .. 1 times -1 .. 1; colours 0 .. 255.

  Attributes:
    kind: index in KINDS.
    base: colour.
    second: colour of stripes, dots and squares.
    phase: (u, v) by which these are shifted, in periods.
    period: of them.
  """

  kind: int
  base: Colour
  second: Colour
  phase: tuple[float, float]
  period: float

  def __call__(self, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """[..., 3] levels at torso coordinates [...]."""
    wave = lambda x, shift: np.sin(2 * np.pi * (x / self.period + shift))
    first, other = wave(u, self.phase[0]), wave(v, self.phase[1])
    height = {
      "plain": np.full_like(u, -1.0),
      "stripes": first,
      "dots": first + other - 0.7,
      "check": 1.5 * first * other,
    }[KINDS[self.kind]]
    share = np.clip(0.5 + 1.5 * height, 0, 1)[..., None]
    return (1 - share) * np.array(self.base) + share * np.array(self.second)

  def flat(self, size: int = FLAT) -> np.ndarray:
    """[size, size, 3] levels: the garment by itself."""
    at = 2 * (np.arange(size) + 0.5) / size - 1
    v, u = np.meshgrid(at, at, indexing="ij")
    return self(u, v)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Dancer:
  """All of a clip but for the garment; arrays have the frame first.

  Attributes:
    skin: colour of head and limbs.
    ground: colours of the background, at one edge and at the opposite one.
    ground_angle: direction of that gradient [radians].
    shapes: (y, x, radius, colour) of discs that stand still.
    centre: (y, x) [t, 2] of the torso.
    angle: [t] by which the body is turned [radians].
    scale: [t] of the body.
    arms: [t, 2] angles of the left and right arm to straight down [radians].
    legs: [t, 2] of the legs.
  """

  skin: Colour
  ground: tuple[Colour, Colour]
  ground_angle: float
  shapes: tuple[tuple[float, float, float, Colour], ...]
  centre: np.ndarray
  angle: np.ndarray
  scale: np.ndarray
  arms: np.ndarray
  legs: np.ndarray

  def place(self, u: float, v: float) -> np.ndarray:
    """(y, x) [t, 2] of a point given in units of the unturned body."""
    sin, cos = np.sin(self.angle), np.cos(self.angle)
    moved = np.stack([u * sin + v * cos, u * cos - v * sin], axis=-1)
    return self.centre + self.scale[:, None] * moved

  def motion(self) -> np.ndarray:
    """float32 [t, 2, 3]: (x, y) in units = M (u, v, 1) of torso coordinates."""
    origin, u, v = (
      self.place(*p) for p in ((0, 0), (TORSO[0], 0), (0, TORSO[1]))
    )
    made = np.stack([u - origin, v - origin, origin], axis=-1)[:, ::-1]
    return made.astype(np.float32)


def draw_garment(rng: np.random.Generator) -> Garment:
  """A random garment; its two colours are far apart."""
  base = rng.uniform(20, 235, 3)
  away = np.where(base > GREY, -1, 1) * rng.uniform(90, 120, 3)
  return Garment(
    kind=int(rng.integers(len(KINDS))),
    base=tuple(base),
    second=tuple((base + away).clip(10, 245)),
    phase=tuple(rng.uniform(0, 1, 2)),
    period=rng.uniform(0.9, 1.4),
  )


def draw(rng: np.random.Generator, frames: int) -> Dancer:
  """A random dancer, of so many frames."""
  t = np.arange(frames)
  colour = lambda low, high: tuple(rng.uniform(low, high, 3))

  def swing(reach):
    period, phase = rng.uniform(10, 22), rng.uniform(0, 2 * np.pi)
    return reach * np.sin(2 * np.pi * t / period + phase)

  def limbs(middle, low, high):
    both = [side * middle + swing(rng.uniform(low, high)) for side in (-1, 1)]
    return np.stack(both, axis=-1)

  count = int(rng.integers(1, 4))
  place = lambda: tuple(rng.uniform(0, SIDE, 2))
  return Dancer(
    skin=colour(40, 230),
    ground=(colour(20, 235), colour(20, 235)),
    ground_angle=rng.uniform(0, 2 * np.pi),
    shapes=tuple(
      (*place(), rng.uniform(2, 5), colour(20, 235)) for _ in range(count)
    ),
    centre=np.stack(
      [16 + swing(rng.uniform(0.3, 1)), 16 + swing(rng.uniform(0.5, 3))], -1
    )
    + rng.uniform(-1, 1, 2),
    angle=swing(rng.uniform(0.3, 1) * TURN),
    scale=1 + swing(rng.uniform(0.02, 0.1)),
    arms=limbs(0.9, 0.3, 0.8),
    legs=limbs(0.3, 0.1, 0.35),
  )


def render(dancer: Dancer, garment: Garment, size: int = SIDE) -> np.ndarray:
  """float64 [t, size, size, 3] levels 0 .. 255.

  Args:
    dancer: who moves.
    garment: what is worn.
    size: side [pixels].
  """
  y, x = _pixels(size)
  image = np.broadcast_to(
    _ground(dancer, y, x), (len(dancer.angle), size, size, 3)
  )
  for a, b, radius in _limbs(dancer):
    image = _over(image, _capsule(a, b, y, x) - radius, dancer.skin, size)
  head = dancer.place(0, -TORSO[1] - 2.5)
  radius = 2.8 * dancer.scale[:, None, None]
  image = _over(image, _capsule(head, head, y, x) - radius, dancer.skin, size)
  u, v, away = _torso(dancer, y, x)
  return _over(image, away, garment(u, v), size)


def masks(dancer: Dancer, size: int = SIDE) -> np.ndarray:
  """uint8 [t, size, size]: 1 where agnostic frames show nothing."""
  away = _torso(dancer, *_pixels(size))[2] * size / SIDE
  return (away < DILATED).astype(np.uint8)


def agnostic(frames: np.ndarray, hidden: np.ndarray) -> np.ndarray:
  """Frames [t, h, w, 3] with grey where they are hidden [t, h, w]."""
  return np.where(hidden[..., None] > 0, GREY, frames)


def pose(dancer: Dancer, size: int = SIDE) -> np.ndarray:
  """float64 [t, size, size, 3]: the skeleton, on black.

  Spine, shoulders and hips are white; left and right limbs have colours.
  """
  y, x = _pixels(size)
  image = np.zeros((len(dancer.angle), size, size, 3))
  w, h = TORSO
  lines = [((0, -h - 2.5), (0, h)), ((-w, -h), (w, -h)), ((-w, h), (w, h))]
  for start, end in lines:
    a, b = dancer.place(*start), dancer.place(*end)
    image = _over(image, _capsule(a, b, y, x) - 0.5, _MARKS["body"], size)
  for i, (a, b, _) in enumerate(_limbs(dancer)):
    mark = _MARKS[(_LEFT, _RIGHT)[i % 2]]
    image = _over(image, _capsule(a, b, y, x) - 0.5, mark, size)
  return image


def _pixels(size):
  """(y, x) of the middles of pixels, [1, size, 1] and [1, 1, size]."""
  at = (np.arange(size) + 0.5) * SIDE / size
  return at[None, :, None], at[None, None, :]


def _ground(dancer, y, x):
  """[1, size, size, 3] background."""
  ground = (dancer.ground, dancer.ground_angle)
  image = drawing.gradient(*ground, y / SIDE, x / SIDE)
  for cy, cx, radius, colour in dancer.shapes:
    away = np.hypot(y - cy, x - cx) - radius
    image = _over(image, away, colour, y.shape[1])
  return image


def _limbs(dancer):
  """(start [t, 2], end [t, 2], radius): arms, then legs, left ones first."""
  w, h = TORSO
  found = []
  for angles, (u, v), length in (
    (dancer.arms, (w - 0.5, -h + 1), 8.0),
    (dancer.legs, (w - 2.2, h - 0.5), 8.5),
  ):
    for i, side in enumerate((_LEFT, _RIGHT)):
      start = dancer.place(side * u, v)
      turned = angles[:, i] - dancer.angle
      way = np.stack([np.cos(turned), np.sin(turned)], axis=-1)
      end = start + length * dancer.scale[:, None] * way
      found.append((start, end, 1.2))
  return found


def _capsule(a, b, y, x):
  """[t, size, size] distances to the lines from a to b [t, 2], (y, x)."""
  (ay, ax), (by, bx) = (p.T[:, :, None, None] for p in (a, b))
  long = np.maximum((by - ay) ** 2 + (bx - ax) ** 2, 1e-9)
  share = ((y - ay) * (by - ay) + (x - ax) * (bx - ax)) / long
  share = share.clip(0, 1)
  return np.hypot(y - ay - share * (by - ay), x - ax - share * (bx - ax))


def _torso(dancer, y, x):
  """(u, v, distance to the torso, negative inside), each [t, size, size]."""
  cy, cx = dancer.centre.T[:, :, None, None]
  sin, cos = (f(dancer.angle)[:, None, None] for f in (np.sin, np.cos))
  scale = dancer.scale[:, None, None]
  across = ((x - cx) * cos + (y - cy) * sin) / scale
  down = ((y - cy) * cos - (x - cx) * sin) / scale
  past = np.stack([np.abs(across) - TORSO[0], np.abs(down) - TORSO[1]])
  outside = np.hypot(*np.maximum(past, 0))
  away = scale * (outside + np.minimum(past.max(0), 0))
  return across / TORSO[0], down / TORSO[1], away


def _over(image, away, colour, size):
  """A form in front of an image; its edge is a pixel wide."""
  share = np.clip(0.5 - away * size / SIDE, 0, 1)[..., None]
  return (1 - share) * image + share * np.asarray(colour, float)
