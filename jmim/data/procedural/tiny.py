"""One coloured shape or two on 16 px, and the words that say what they are.

"red square", or "red square left of blue cross": all colours and kinds are
equally likely, and of two the one that is named first lies to the left. Edges
are antialiased, so a picture is a smooth function of where its shapes lie. What
is told in words is little, and all of it can be seen: a model of text and
pictures learns something of it within minutes.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np

from jmim.data.procedural import drawing
from jmim.data.procedural import scenes

KINDS = ("circle", "square", "cross")
COLOURS = ("red", "green", "blue", "yellow")
WORDS = ("", *COLOURS, *KINDS, "left", "of")  # append only: these are tokens
LENGTH = 6  # words of the longest caption

SIZE = 16  # pixels
SAMPLES = 4  # per pixel and axis
GROUND = (30.0, 60.0)  # least and greatest level, of 255
# Radii and centres in pixels, of one shape and of each of two.
ALONE, BESIDE = (3.5, 5.0), (2.5, 3.2)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Shape:
  """One shape.

  Attributes:
    kind: index in KINDS.
    colour: index in COLOURS.
    centre: (y, x) in pixels.
    radius: of the circle it fits into, in pixels.
  """

  kind: int
  colour: int
  centre: tuple[float, float]
  radius: float

  @property
  def words(self) -> str:
    """As in captions: "red square"."""
    return f"{COLOURS[self.colour]} {KINDS[self.kind]}"


def draw(rng: np.random.Generator) -> tuple[list[Shape], float]:
  """One shape, or two from left to right; and the level of the ground."""
  two = bool(rng.integers(2))
  shapes = []
  for i in range(1 + two):
    radius = rng.uniform(*(BESIDE if two else ALONE))
    y, x = rng.uniform(radius, SIZE - radius, 2)
    if two:  # each in its half
      x = i * SIZE / 2 + rng.uniform(radius, SIZE / 2 - radius)
    kind, colour = rng.integers(len(KINDS)), rng.integers(len(COLOURS))
    centre = (float(y), float(x))
    shapes.append(
      Shape(
        kind=int(kind), colour=int(colour), centre=centre, radius=float(radius)
      )
    )
  return shapes, float(rng.uniform(*GROUND))


def apart(shapes: Sequence[Shape]) -> bool:
  """Of two shapes: red and blue, or green and yellow."""
  first, second = (shape.colour for shape in shapes)
  return abs(first - second) == 2


def two(rng: np.random.Generator, held: bool) -> tuple[list[Shape], float]:
  """As `draw`, of two shapes.

  Args:
    rng: all that is random.
    held: their colours are `apart`, which a model may have been kept from; else
      they are not, and of one colour or neighbours in COLOURS.
  """
  while True:
    shapes, ground = draw(rng)
    if len(shapes) == 2 and apart(shapes) == held:
      return shapes, ground


def render(shapes: Sequence[Shape], ground: float) -> np.ndarray:
  """float32 [16, 16, 3] in 0 .. 255: means over the area of a pixel."""
  places = (np.arange(SIZE * SAMPLES) + 0.5) / SAMPLES
  fine = np.full((*places.shape * 2, 3), ground)
  for shape in shapes:
    v = (places[:, None] - shape.centre[0]) / shape.radius
    u = (places[None, :] - shape.centre[1]) / shape.radius
    where = scenes.form(KINDS[shape.kind], *np.broadcast_arrays(v, u))
    fine[where] = scenes.COLOURS[COLOURS[shape.colour]]
  return drawing.means(fine, SAMPLES).astype(np.float32)


def caption(shapes: Sequence[Shape]) -> str:
  """What they are, from left to right."""
  return " left of ".join(shape.words for shape in shapes)


def tokens(text: str) -> np.ndarray:
  """int32 [LENGTH]: places in WORDS, then 0."""
  ids = [WORDS.index(word) for word in text.split()]
  return np.array(ids + [0] * (LENGTH - len(ids)), np.int32)
