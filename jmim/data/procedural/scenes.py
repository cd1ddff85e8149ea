"""Procedural scenes of coloured, textured shapes, with exact annotations.

A room with a floor: the inverse of depth is linear in the height of a pixel,
as in perspective. Things stand on the floor, and look the smaller the farther
they are; nearer ones hide farther ones. Every array is a function of the
random generator, and every annotation follows from the same formulas as the
pixels.
"""

import dataclasses

import numpy as np

KINDS = ("circle", "square", "triangle", "cross", "ring")
TEXTURES = ("plain", "striped", "checked")
COLOURS = {
  "red": (214, 50, 48),
  "green": (62, 160, 72),
  "blue": (52, 98, 206),
  "yellow": (236, 200, 60),
  "purple": (142, 68, 173),
  "cyan": (64, 190, 200),
}
NEAR, FAR = 1.0, 5.0  # depth at the lower edge, and of the wall
HORIZON = 0.4  # height of the line between wall and floor, from the top
MOST = 5  # things in a scene
LEAST_VISIBLE = 12  # pixels that each must show
DIRECTIONS = (  # each 45 degrees on
  "right",
  "down right",
  "down",
  "down left",
  "left",
  "up left",
  "up",
  "up right",
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Thing:
  """One shape; lengths in pixels, angle in radians.

  Attributes:
    kind: index in KINDS.
    colour: name in COLOURS.
    texture: name in TEXTURES.
    centre: (y, x).
    radius: of the circle it fits into.
    angle: by which it is turned.
    depth: distance from the viewer, NEAR .. FAR.
  """

  kind: int
  colour: str
  texture: str
  centre: tuple[float, float]
  radius: float
  angle: float
  depth: float

  def moved(self, by: np.ndarray) -> "Thing":
    """The same thing, its centre shifted by (dy, dx) pixels."""
    y, x = self.centre
    return dataclasses.replace(self, centre=(y + by[0], x + by[1]))

  @property
  def words(self) -> str:
    """As in captions: "red striped circle"."""
    texture = "" if self.texture == "plain" else f"{self.texture} "
    return f"{self.colour} {texture}{KINDS[self.kind]}"


def floor_line(depth: float, size: int) -> float:
  """Row on which a thing of that depth stands, in pixels."""
  share = (1 / depth - 1 / FAR) / (1 / NEAR - 1 / FAR)
  return size * (HORIZON + (1 - HORIZON) * share)


def background_depth(size: int) -> np.ndarray:
  """float32 [size, size]: the wall, and the floor that comes nearer."""
  rows = (np.arange(size) + 0.5) / size
  share = np.clip((rows - HORIZON) / (1 - HORIZON), 0, 1)
  depth = 1 / (1 / FAR + share * (1 / NEAR - 1 / FAR))
  return np.repeat(depth[:, None], size, 1).astype(np.float32)


def local(thing: Thing, size: int) -> tuple[np.ndarray, np.ndarray]:
  """Coordinates (v, u) of every pixel centre in units of the radius."""
  y, x = np.mgrid[:size, :size] + 0.5
  y, x = (y - thing.centre[0]), (x - thing.centre[1])
  cos, sin = np.cos(thing.angle), np.sin(thing.angle)
  r = thing.radius
  return (cos * y - sin * x) / r, (sin * y + cos * x) / r


def inside(thing: Thing, size: int) -> np.ndarray:
  """bool [size, size]: pixels whose centre lies in the shape."""
  return form(KINDS[thing.kind], *local(thing, size))


def form(kind: str, v: np.ndarray, u: np.ndarray) -> np.ndarray:
  """bool: which places (v, u), in units of the radius, lie in a shape."""
  square = np.maximum(abs(u), abs(v))
  radius = u**2 + v**2
  return {
    "circle": radius < 1,
    "square": square < 0.8,
    "triangle": (v < 0.5) & (v > 1.732 * abs(u) - 1),
    "cross": (square < 0.95) & (np.minimum(abs(u), abs(v)) < 0.32),
    "ring": (radius < 1) & (radius > 0.25),
  }[kind]


def paint(thing: Thing, size: int) -> np.ndarray:
  """float32 [size, size, 3] colours; the texture moves with the thing."""
  v, u = local(thing, size)
  stripe = np.floor(3 * u).astype(int)
  dark = {
    "plain": np.zeros_like(stripe),
    "striped": stripe % 2,
    "checked": (stripe + np.floor(3 * v).astype(int)) % 2,
  }[thing.texture]
  shade = 1 - 0.45 * dark
  return (shade[..., None] * COLOURS[thing.colour]).astype(np.float32)


def render(
  things: list[Thing], wall: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
  """Draws things, the farthest first.

  Args:
    things: in order of falling depth.
    wall: float [size, size, 3] background.

  Returns:
    image float32 [size, size, 3]; instance uint8 [size, size], 0 for the
    background, i + 1 for thing i; depth float32 [size, size].
  """
  size = len(wall)
  image, depth = wall.astype(np.float32).copy(), background_depth(size)
  instance = np.zeros((size, size), np.uint8)
  for i, thing in enumerate(things):
    where = inside(thing, size)
    image[where] = paint(thing, size)[where]
    instance[where], depth[where] = i + 1, thing.depth
  return image, instance, depth


def background(size: int, rng: np.random.Generator) -> np.ndarray:
  """float32 [size, size, 3]: a dim wall and a floor, both with noise."""
  wall, floor = rng.uniform(60, 110, 3), rng.uniform(90, 150, 3)
  below = (np.arange(size) + 0.5)[:, None, None] > HORIZON * size
  smooth = np.where(below, floor, wall) * np.ones((size, size, 1))
  return (smooth + rng.normal(0, 6, (size, size, 1))).astype(np.float32)


def clouds(size: int, rng: np.random.Generator) -> np.ndarray:
  """float32 [size, size, 3]: a smooth random texture of one hue.

  A Gaussian field whose amplitudes fall with the cube of the frequency, so
  that, unlike noise, a few patches tell those between them.
  """
  side = 2 * size  # cut from a field that repeats farther away than it is seen
  frequency = np.hypot(*np.meshgrid(*2 * [np.fft.fftfreq(side) * side]))
  frequency[0, 0] = np.inf
  waves = np.fft.fft2(rng.normal(size=(side, side))) / frequency**3
  field = np.fft.ifft2(waves).real[:size, :size]
  field = (field - field.mean()) / field.std()
  return (rng.uniform(90, 165, 3) + 35 * field[..., None]).astype(np.float32)


def random_things(
  size: int, rng: np.random.Generator, standing: bool = True
) -> list[Thing]:
  """Two to MOST things, the farthest first, each partly visible.

  Args:
    size: image side in pixels.
    rng: consumed.
    standing: on the floor, where their depth says; else anywhere.
  """
  while True:
    count = rng.integers(2, MOST + 1)
    depths = np.sort(rng.uniform(1.1, 4.0, count))[::-1]
    things = [random_thing(size, rng, d, standing) for d in depths]
    _, instance, _ = render(things, np.zeros((size, size, 3)))
    seen = np.bincount(instance.ravel(), minlength=count + 1)[1:]
    if seen.min() >= LEAST_VISIBLE:
      return things


def random_thing(
  size: int, rng: np.random.Generator, depth: float, standing: bool
) -> Thing:
  """One thing at a depth, on the floor or anywhere."""
  radius = size * rng.uniform(0.22, 0.3) / depth**0.5
  x = rng.uniform(0.6 * radius, size - 0.6 * radius)
  y = floor_line(depth, size) - 0.8 * radius
  if not standing:
    y = rng.uniform(0.8 * radius, size - 0.8 * radius)
  return Thing(
    kind=int(rng.integers(len(KINDS))),
    colour=list(COLOURS)[rng.integers(len(COLOURS))],
    texture=TEXTURES[rng.integers(len(TEXTURES))],
    centre=(float(y), float(x)),
    radius=float(radius),
    angle=float(rng.uniform(0, 2 * np.pi)),
    depth=float(depth),
  )


def caption(things: list[Thing]) -> str:
  """The things from near to far, in words."""
  names = [f"a {thing.words}" for thing in reversed(things)]
  return " in front of ".join(names)


def boxes(instance: np.ndarray, count: int) -> np.ndarray:
  """float32 [MOST, 4] (y0, x0, y1, x1) of visible pixels, in 0 .. 1.

  Rows beyond `count` are 0.
  """
  edges = np.zeros((MOST, 4), np.float32)
  for i in range(count):
    rows, columns = np.nonzero(instance == i + 1)
    edges[i] = rows.min(), columns.min(), rows.max() + 1, columns.max() + 1
  return edges / len(instance)


def semantic(instance: np.ndarray, things: list[Thing]) -> np.ndarray:
  """uint8 like `instance`: 0 for the background, 1 + kind elsewhere."""
  table = np.array([0, *[1 + thing.kind for thing in things]], np.uint8)
  return table[instance]


def clip(
  size: int, frames: int, rng: np.random.Generator
) -> dict[str, np.ndarray | list[Thing]]:
  """Things that glide over a still background.

  Returns:
    things (of frame 0); video float32 [frames, size, size, 3]; instance
    uint8 [frames, size, size]; flow float32 [frames - 1, size, size, 2], the
    (dy, dx) in pixels by which what is seen at a pixel moves until the next
    frame.
  """
  things = random_things(size, rng, standing=False)
  ends = rng.uniform(0.2 * size, 0.8 * size, (len(things), 2))
  starts = np.array([thing.centre for thing in things])
  # Half of the way at most, so that things stay in sight.
  speed = 0.5 * (ends - starts) / (frames - 1)
  wall = background(size, rng)
  shots = [
    render([t.moved(k * v) for t, v in zip(things, speed, strict=True)], wall)
    for k in range(frames)
  ]
  instance = np.stack([shot[1] for shot in shots])
  motion = np.concatenate([np.zeros((1, 2)), speed]).astype(np.float32)
  return {
    "things": things,
    "video": np.stack([shot[0] for shot in shots]),
    "instance": instance,
    "flow": motion[instance[:-1]],
  }
