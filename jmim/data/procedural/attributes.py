"""One thing on a dark ground, described by attributes, coarse and fine.

Coarse ones move many bright pixels: the kind, the place, whether it is large.
Fine ones change the paint by a few levels: the texture, and a tint, warm or
cool. All are independent and equally likely, so chance is known; and a picture
is a function of the attributes, so that two may differ in one alone.

Made for DiTi (Yue et al. 2024): noise hides the fine ones at earlier times.
"""

import dataclasses

import numpy as np

from jmim.data.procedural import drawing
from jmim.data.procedural import scenes

KINDS = ("circle", "square", "triangle", "cross")
CLASSES = {  # feature -> names
  "label": KINDS,
  "place": ("top left", "top right", "bottom left", "bottom right"),
  "large": ("small", "large"),
  "texture": scenes.TEXTURES,
  "warm": ("cool", "warm"),
}
NUMBERS = ("y", "x", "radius", "tint")  # features that are no classes
COARSE, FINE = ("label", "place", "large"), ("texture", "warm")

GROUND, PAINT = 45.0, 190.0  # levels of 255
SHADE = 0.15  # by which dark parts of a texture are darker
LEVELS = 18.0  # of a full tint, added to red and taken from blue
SAMPLES = 8  # per pixel and axis


@dataclasses.dataclass(frozen=True, kw_only=True)
class Look:
  """All that a picture depends on.

  Attributes:
    kind: index in KINDS.
    y: of the centre, in heights of the picture from the top.
    x: of the centre, in widths from the left.
    radius: of the circle that it fits into, in sides of the picture.
    texture: index in `scenes.TEXTURES`.
    tint: -1 (cool) .. 1 (warm).
  """

  kind: int
  y: float
  x: float
  radius: float
  texture: int
  tint: float

  @property
  def values(self) -> dict[str, int | float]:
    """Features of an example: a class or a number per attribute."""
    return {
      "label": self.kind,
      "place": 2 * (self.y > 0.5) + (self.x > 0.5),
      "large": int(self.radius > 0.26),
      "texture": self.texture,
      "warm": int(self.tint > 0),
      "y": self.y,
      "x": self.x,
      "radius": self.radius,
      "tint": self.tint,
    }


def of(values: dict[str, np.ndarray | int | float]) -> Look:
  """The look of an example that was stored with its `values`."""
  numbers = {name: float(values[name]) for name in NUMBERS}
  return Look(
    kind=int(values["label"]), texture=int(values["texture"]), **numbers
  )


def draw(rng: np.random.Generator) -> Look:
  """A random look; numbers are float32, so that they can be stored."""
  signs = rng.integers(2, size=4)
  away = rng.uniform(0.1, 0.14, 2)
  y, x = 0.5 + np.where(signs[:2], away, -away)
  radius = rng.uniform(0.28, 0.32) if signs[2] else rng.uniform(0.19, 0.23)
  tint = rng.uniform(1 / 3, 1) * (1 if signs[3] else -1)
  exact = lambda number: float(np.float32(number))
  return Look(
    kind=int(rng.integers(len(KINDS))),
    y=exact(y),
    x=exact(x),
    radius=exact(radius),
    texture=int(rng.integers(len(scenes.TEXTURES))),
    tint=exact(tint),
  )


def render(look: Look, size: int) -> np.ndarray:
  """float32 [size, size, 3] in 0 .. 255: means over the area of a pixel."""
  side = size * SAMPLES
  thing = scenes.Thing(
    kind=scenes.KINDS.index(KINDS[look.kind]),
    colour="",
    texture=scenes.TEXTURES[look.texture],
    centre=(look.y * side, look.x * side),
    radius=look.radius * side,
    angle=0.0,
    depth=scenes.NEAR,
  )
  v, u = scenes.local(thing, side)
  # Two stripes of a radius: at 16 px still wider than a pixel.
  stripe, row = np.floor(2 * u).astype(int), np.floor(2 * v).astype(int)
  dark = {
    "plain": np.zeros_like(stripe),
    "striped": stripe % 2,
    "checked": (stripe + row) % 2,
  }[thing.texture]
  tint = LEVELS * look.tint * np.array([1.0, 0.0, -1.0])
  paint = (1 - SHADE * dark)[..., None] * PAINT + tint
  fine = np.where(scenes.inside(thing, side)[..., None], paint, GROUND)
  return drawing.means(fine, SAMPLES).astype(np.float32)
